"""How a script looks at a result: for each clause the lines that print what came and end with 1 on the deviation.

Most clauses are judged by one element's error against its bound. Laws that hold or do not have forms of their own.
The last line that a script prints begins with "got"; one that fails before its look prints no such line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.conformance.cases.relations import RELATIONS
from bnspec.conformance.repro import history_assertions as lives
from bnspec.conformance.repro import law_assertions as laws
from bnspec.conformance.repro import relation_assertions as two_results
from bnspec.conformance.repro.subject import Look, Shown, within_bound


def look(shown: Shown) -> Look:
    """The look of a finding. Raises NoScript: its check has no short form."""
    if shown.finding.verdict in ("crashed", "timeout"):
        return laws.completes(shown)
    form = FORMS.get(shown.finding.clause)
    if laws.exception_of(shown.finding.message):
        form = laws.raised
    elif "the state changed between two calls" in shown.finding.message:
        form = lives.changed
    elif " has shape " in shown.finding.message:
        form = laws.wrong_shape
    if form is None and {"expected", "bound", "index"} <= shown.evidence.keys():
        form = laws.wrong_shape if str(shown.evidence.get("got")).startswith("shape") else within_bound
    if form is None:
        raise NoScript(f"the check of {shown.finding.clause} has no short form")
    return form(shown)


FORMS: Mapping[str, Callable[[Shown], Look]] = {
    "contract.completes": laws.completes,
    "contract.shapes": laws.wrong_shape,
    "dtype.results": laws.dtypes,
    "training.finite": laws.finite,
    "training.ignores_running_state": laws.same_x,
    "training.repeatable": laws.same_bits("once", "again"),
    "inference.repeatable": laws.same_bits("once", "again"),
    "inference.bits_are_independent_of_batch": laws.same_bits("in_batch", "alone", part=True),
    "inference.keeps_state": laws.keeps_state,
    "gradient.forward_agrees": laws.same_bits("without_gradients", "with_gradients"),
    "input.keeps_statistics": laws.same_bits("once", "again"),
    "input.constant_feature_is_finite": laws.small,
    "running.var_not_negative": laws.not_negative,
    "affine.zero_gamma_gives_beta": laws.zero_gamma,
    "degenerate.count_one": laws.count_one,
    "degenerate.empty_batch": laws.finite,
    "degenerate.gradients_of_empty_batch": laws.zero,
    "special.nan_is_not_hidden": laws.nan_shown,
    "special.infinity_is_not_hidden": laws.nan_shown,
    "special.poisoned_state": laws.nan_shown,
    "special.negative_variance_is_shown": laws.nan_shown,
    "special.overflow_is_not_finite": two_results.not_beta,
    "purity.arguments": laws.not_written,
    "purity.results_are_new": laws.results_are_new,
    **{relation.clause: two_results.follows for relation in RELATIONS.values()},
    "input.units_do_not_matter": two_results.follows,
    "training.output_moments": two_results.sum_over_channel,
    "gradient.orthogonality": two_results.sum_over_channel,
    "mask.padding_is_inert": two_results.padding_is_inert,
    "state.snapshot_continues": lives.changed,
    "state.copy_is_independent": lives.changed,
    "state.is_visible_after_each_step": lives.changed,
    "state.reset_restores_the_beginning": lives.initial,
    "running.initial_state": lives.initial,
    "running.unrolled": lives.unrolled,
    "errors.leave_the_state": lives.left_alone,
    "errors.malformed_data": lives.computed,
    "errors.malformed_parameters": lives.computed,
    "input.nothing_to_fit": lives.fitted_on_nothing,
}
