"""How a script looks at a result: for each clause the lines that print what came and end with 1 on the deviation.

Most clauses are judged by one element's error against its bound. Laws that hold or do not have forms of their own.
The last line that a script prints begins with "got"; one that fails before its look prints no such line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnspec.conformance.repro import laws
from bnspec.conformance.repro.literals import NoScript
from bnspec.conformance.repro.shown import Look, Shown, decimal, variable
from bnspec.conformance.repro.writer import Writer


def look(shown: Shown) -> Look:
    """The look of a finding. Raises NoScript: its check has no short form."""
    if shown.finding.verdict in ("crashed", "timeout"):
        return laws.completes(shown)
    form = FORMS.get(shown.finding.clause)
    if laws.exception_of(shown.finding.message):
        form = laws.raised
    if form is None and {"expected", "bound", "index"} <= shown.evidence.keys():
        form = laws.wrong_shape if str(shown.evidence.get("got")).startswith("shape") else within_bound
    if form is None:
        raise NoScript(f"the check of {shown.finding.clause} has no short form")
    return form(shown)


def within_bound(shown: Shown) -> Look:
    """One element: its error, against the bound."""
    e, clause = shown.evidence, shown.finding.clause
    expected, bound = decimal(e["expected"]), decimal(e["bound"])

    def lines(writer: Writer) -> list[str]:
        got = writer.element(variable(writer, shown.output), shown.index)
        rest = [f"rest = {shown.rest!r}  # what float64 cannot hold of it"] if shown.rest else []
        error = f"abs(got - expected{' - rest' if rest else ''})"
        ratio = f', "error/bound", {error} / bound' if float(bound) else f', "error", {error}, "bound", bound'
        return [
            f"expected = {expected}  # {shown.formula}, in quad precision",
            *rest,
            f"bound = {bound}  # on the rounding errors of this element: {clause}",
            f"got = {got}",
            f'print("got", got, "expected", expected{ratio})',
            f"sys.exit(not {error} <= bound)",
        ]

    return Look({shown.step: "y"}, shown.output, lines)


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
    "special.nan_is_not_hidden": laws.nan_shown,
    "purity.arguments": laws.not_written,
    "purity.results_are_new": laws.results_are_new,
}
