"""Deviations in groups of one cause, each named in words that are true of it."""

from __future__ import annotations

import dataclasses
import random

import msgspec
import pytest

from bnspec.clauses import ASKED
from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.grouping import grouped
from bnspec.conformance.causes.record import cause_of, ordinary_first
from bnspec.conformance.causes.values import NOT_FINITE
from bnspec.reports.run.causes import Condition
from bnspec.reports.run.evidence import Evidence
from bnspec.reports.summary.causes import needs
from tests.support.deviations import KNOWN, LARGE, deviation, needing, with_relation


@pytest.mark.parametrize("seed", range(50))
def test_every_finding_belongs_to_exactly_one_cause(seed: int) -> None:
    """Whatever the experiments say."""
    draw = random.Random(seed)
    clauses = list(dict.fromkeys(["training.repeatable", *draw.sample(sorted(ASKED), 12)]))
    calls = ("training_gradients", "inference_gradients", "fit", "transform", "learn", "save_restore")
    deviations = [
        dataclasses.replace(
            deviation(
                c,
                draw.choice(("y", "dx", "dgamma", "running_var")),
                draw.choice(calls),
                known=(KNOWN,) if draw.random() < 0.2 else (),
            ),
            scattered=draw.random() < 0.2,
        )
        for c in clauses
    ]
    outcomes = [{c: draw.choice((0.0, 2.0, 2e6)) for c in clauses if draw.random() < 0.7} for _ in range(6)]
    groups = grouped(deviations, outcomes)
    assert sorted(d.finding.clause for g in groups for d in g) == sorted(clauses)


def test_what_is_known_and_what_is_not_are_two_causes() -> None:
    """A known deviation hides nothing, and is one cause whatever the quantities."""
    dx = deviation("gradient.training_dx", "dx", known=(KNOWN,))
    mean = deviation("running.mean", "running_mean", known=(KNOWN,))
    new = deviation("gradient.training_dgamma", "dgamma")
    groups = grouped([dx, mean, new], [{d.finding.clause: LARGE for d in (dx, mean, new)}])
    assert sorted(len(g) for g in groups) == [1, 2]


def test_an_experiment_separates() -> None:
    """Errors of y explain errors of dx, unless dx deviates where y does not, but by roundings. Without any error y is kept by chance."""
    y, dx = deviation("training.output", "y"), deviation("gradient.training_dx", "dx")
    both = {"training.output": LARGE, "gradient.training_dx": LARGE}
    assert len(grouped([y, dx], [both])) == 1
    assert len(grouped([y, dx], [both, {**both, "training.output": 0.25}])) == 2
    assert len(grouped([y, dx], [both, {**both, "training.output": 0.0}])) == 1
    assert len(grouped([y, dx], [both, {**both, "gradient.training_dx": 0.25}])) == 1


def test_an_error_within_its_bound_separates_nothing() -> None:
    """The mean has errors ten times smaller than y: it is kept where y deviates by little. Where y has a large error, that separates."""
    y, mean = deviation("training.output", "y"), deviation("running.mean", "running_mean")
    both = {"training.output": 10 * LARGE, "running.mean": LARGE}
    assert len(grouped([y, mean], [both, {"training.output": 8.0, "running.mean": 0.5}])) == 1
    assert len(grouped([y, mean], [both, {"training.output": LARGE, "running.mean": 0.5}])) == 2


def test_a_copy_explains_nothing_of_a_layer_that_was_not_copied() -> None:
    """What an operation between calls does reaches what follows it alone."""
    y = deviation("training.output", "y")
    changed = Evidence(step=0, call="clone", relation="unchanged", output="running_mean", index=(0,), ratio=LARGE)
    copied = deviation("state.copy_is_independent", "running_mean", evidence=changed)
    assert len(grouped([copied, y], [{"state.copy_is_independent": LARGE, "training.output": LARGE}])) == 2


def test_beside_a_layout_epsilon_is_no_other_setting() -> None:
    """Of few values it says that dx is not 0."""
    y, dx = deviation("training.output", "y"), deviation("gradient.training_dx", "dx")
    both = {"training.output": LARGE, "gradient.training_dx": LARGE}
    found = [needing(y, "layout of x"), needing(dx, "layout of dy", "epsilon")]
    assert len(grouped(found, [both, {**both, "training.output": 0.0}])) == 1


def test_a_cause_is_named_in_words_that_are_true_of_it() -> None:
    """What needs strided parameters is no misread axis; what needs a rank is, unless gradients alone are wrong."""
    y, dx = deviation("training.output", "y"), deviation("gradient.training_dx", "dx")
    axis = deviation("layout.axis", "dx")

    def name(feature: str, *found: Deviation) -> str:
        [group] = grouped(
            [needing(d, feature) for d in (*found, axis)], [{d.finding.clause: LARGE for d in (*found, axis)}]
        )
        return group[0].finding.clause

    assert name("layout of the parameters", dx) == "gradient.training_dx"
    assert name("rank", dx) == "gradient.training_dx"
    assert name("rank", y, dx) == "layout.axis"


def test_a_network_shows_the_errors_of_its_layer() -> None:
    """It follows from an error of any rank, not from one of memory that no network has."""
    y, network = deviation("training.output", "y"), deviation("placement.trajectory", "w1", "learn")
    assert len(grouped([needing(y, "rank"), network], [])) == 1
    assert len(grouped([needing(y, "layout of x"), network], [])) == 2


def test_what_nobody_examined_names_no_cause() -> None:
    """Conditions that are not known are not none."""
    y = dataclasses.replace(deviation("inference.output", "y", "inference"), examined=False)
    many = needing(deviation("training.output", "y"), "many channels")
    [group] = grouped([y, many], [{"inference.output": LARGE, "training.output": LARGE}])
    assert group[0].finding.clause == "training.output"


def test_a_feature_that_cannot_be_made_ordinary_separates_nothing() -> None:
    """The clause that needs less as far as is known names the cause only if it is known to need less."""
    row = dataclasses.replace(
        needing(deviation("inference.value_is_independent_of_batch", "y", "inference"), "state"),
        unknown=frozenset({"rank"}),
    )
    y = needing(deviation("inference.output", "y", "inference"), "state", "rank")
    dgamma = needing(deviation("gradient.inference_parameters", "dgamma", "inference_gradients"), "state", "rank")
    only = [{d.finding.clause: LARGE} for d in (row, y, dgamma)]
    [group] = grouped([row, y, dgamma], only)
    assert group[0] is y
    assert len(grouped([dataclasses.replace(row, unknown=frozenset()), y, dgamma], only)) == 2


def test_statistics_that_training_leaves_are_a_state() -> None:
    """Beside a rank that both need; alone, a history and a state are two things."""
    y = deviation("inference.output", "y", "inference")
    after = dataclasses.replace(
        needing(deviation("inference.follows_training", "y", "inference"), "rank"),
        conditions=(Condition("history", "after training", "a new layer"), Condition("rank", "rank 4", "rank 2")),
    )
    only = [{d.finding.clause: LARGE} for d in (y, after)]
    assert len(grouped([needing(y, "state", "rank"), after], only)) == 1
    assert len(grouped([needing(y, "state"), dataclasses.replace(after, conditions=after.conditions[:1])], only)) == 2


def test_a_parameter_shows_where_all_are_misread() -> None:
    """A layer that reverses its parameters where the channels come first needs that, whichever parameter shows it."""
    y = needing(deviation("training.output", "y"), "beta", "rank")
    mean = needing(deviation("running.mean", "running_mean"), "state", "rank")
    only = [{d.finding.clause: LARGE} for d in (y, mean)]
    assert len(grouped([y, mean], only)) == 1
    assert len(grouped([needing(y, "beta"), needing(mean, "state")], only)) == 2


def test_words_that_fit_come_before_levels() -> None:
    """A SHOULD that speaks of what is needed names the cause, which is as grave as a MUST that shows it; a MAY names none."""
    y = needing(deviation("inference.output", "y", "inference"), "dtype")
    narrowed = needing(deviation("dtype.parameters_are_not_narrowed", "y", "inference"), "dtype")
    both = [{d.finding.clause: LARGE for d in (y, narrowed)}]
    [group] = grouped([y, narrowed], both)
    cause = cause_of([d.finding for d in group], y.conditions, 1, "")
    assert (cause.clause, cause.level) == (narrowed.finding.clause, "MUST")
    assert needs(cause).endswith("; shows in inference.output, a MUST")
    chosen = needing(deviation("special.overflow_is_not_finite", "y", "inference", level="MAY"), "dtype")
    assert chosen not in [g[0] for g in grouped([y, chosen], [{d.finding.clause: LARGE for d in (y, chosen)}])]


def test_a_malformed_call_is_said_to_be_one() -> None:
    """What needs one in its history is a matter of errors."""
    y = deviation("inference.output", "y", "inference")
    after = Condition("history", "after malformed training", "a new layer")
    continues = dataclasses.replace(
        deviation("errors.continue_as_if_not_called", "y", "inference"), conditions=(after,)
    )
    found = [dataclasses.replace(y, conditions=(after,)), continues]
    [group] = grouped(found, [{d.finding.clause: LARGE for d in found}])
    assert group[0] is continues


def test_a_narrower_bound_may_need_values_that_are_large_enough() -> None:
    """An error within the bounds of other clauses depends on the state; in another quantity it is another error."""
    var, digit = deviation("running.var", "running_var"), deviation("accuracy.keeps_a_digit", "running_var")
    digit = needing(digit, "values of x", "state", "extents")
    assert len(grouped([var, digit], [])) == 1
    assert (
        len(
            grouped(
                [var, dataclasses.replace(digit, finding=deviation("accuracy.keeps_a_digit", "dgamma").finding)], []
            )
        )
        == 2
    )


def test_what_two_faults_break_goes_to_the_one_that_it_speaks_of() -> None:
    """A mean that is always wrong breaks the clause of strides, too: it names the gradients that need strides."""
    mean = deviation("running.mean", "running_mean")
    dx = needing(deviation("gradient.training_dx", "dx"), "layout of x")
    strides = needing(deviation("layout.strides", "running_mean"), "layout of x")
    always, strided = {"running.mean": LARGE}, {d.finding.clause: LARGE for d in (mean, dx, strides)}
    groups = grouped([mean, dx, strides], [{**always, "gradient.training_dx": 0.0}, strided])
    assert [[d.finding.clause for d in g] for g in groups] == [
        ["running.mean"],
        ["layout.strides", "gradient.training_dx"],
    ]


def test_a_change_of_the_own_results_is_a_cause() -> None:
    """A layer whose y is always wrong, and another one for strided x, has two faults."""
    y = deviation("training.output", "y")
    strides = needing(deviation("layout.strides", "y"), "layout of x")
    outcomes = [{"training.output": LARGE}, {"training.output": LARGE, "layout.strides": LARGE}]
    assert len(grouped([y, strides], outcomes)) == 1
    assert len(grouped([y, dataclasses.replace(strides, changing=frozenset({"layout of x"}))], outcomes)) == 2


def test_an_array_that_is_misread_is_one_cause_whatever_is_computed_from_it() -> None:
    """Statistics and gradients share nothing else."""
    mean, dbeta = deviation("running.mean", "running_mean"), deviation("gradient.training_dbeta", "dbeta")
    assert len(grouped([needing(mean, "layout of x"), needing(dbeta, "layout of dy")], [])) == 1
    assert len(grouped([needing(mean, "decay"), needing(dbeta, "decay")], [])) == 2


def test_a_copy_that_is_none_explains_what_needs_a_copy() -> None:
    """A layer that is still frozen, say, since its copy was."""
    copy = deviation("state.copy_is_independent", "running_var", "swap")
    y = deviation("training.output", "y", "training")
    after = (Condition("history", "after freeze, clone, unfreeze, swap", "a new layer"),)
    only = [{"training.output": LARGE, "state.copy_is_independent": 0.0}]
    assert len(grouped([copy, dataclasses.replace(y, conditions=after)], only)) == 1
    frozen = (Condition("history", "after freeze, unfreeze", "a new layer"),)
    assert len(grouped([copy, dataclasses.replace(y, conditions=frozen)], only)) == 2


def test_a_call_that_is_no_function_keeps_no_exact_law() -> None:
    """Noise in the last place shows where y must be beta; not in another mode."""
    noise = with_relation(deviation("training.repeatable", "y", "training"), "equal_bits")
    beta = with_relation(needing(deviation("affine.zero_gamma_gives_beta", "y", "training"), "gamma"), "equals")
    assert len(grouped([noise, beta], [])) == 1
    other = with_relation(needing(deviation("affine.zero_gamma_gives_beta", "y", "inference"), "gamma"), "equals")
    assert len(grouped([noise, other], [])) == 2


def test_a_value_that_no_result_has_follows_from_a_wrong_one() -> None:
    """A variance that is NaN where the mean is, for means and variances that are exchanged."""
    mean = deviation("running.mean", "running_mean")
    state = (Condition("state", "NaN or infinite", "running_mean 0.25, running_var 2"),)
    nan = dataclasses.replace(with_relation(deviation("training.finite", "running_var"), "finite"), conditions=state)
    assert len(grouped([mean, nan], [{"running.mean": LARGE}, {"training.finite": LARGE}])) == 1


def test_what_gamma_does_names_the_cause_where_it_is_wrong() -> None:
    """For any gamma y is wrong, and not in proportion."""
    y = deviation("training.output", "y")
    affine = needing(deviation("affine.per_channel", "y"), "beta")
    outcomes = [{"training.output": LARGE, "affine.per_channel": LARGE}]
    [group] = grouped([y, affine], outcomes)
    assert group[0] is y
    [group] = grouped([dataclasses.replace(y, misused="gamma"), affine], outcomes)
    assert group[0] is affine


def test_nan_of_a_rounding_error_has_no_size() -> None:
    """A variance that is negative now and then gives NaN: y, that is right where there is none, separates nothing."""
    mean = needing(deviation("running.statistics_are_stable", "running_var"), "values of x")
    y = needing(deviation("training.output_is_stable", "y"), "values of x")
    names = mean.finding.clause, y.finding.clause
    nan, small, kept = (dict(zip(names, r)) for r in ((200.0, float("inf")), (20.0, 2.0), (20.0, 0.5)))
    assert len(grouped([mean, y], [], [nan, nan, small, kept])) == 1


def test_noise_is_one_cause_whatever_its_clauses_speak_of() -> None:
    """It names the call that is no function; an error that is no noise is another cause."""
    repeatable = deviation("training.repeatable", "y")
    beta = dataclasses.replace(needing(deviation("affine.per_channel", "y"), "beta"), scattered=True)
    mean = deviation("running.mean", "running_mean")
    groups = grouped([beta, mean, repeatable], [{d.finding.clause: LARGE for d in (repeatable, beta, mean)}])
    assert [d.finding.clause for g in groups for d in g][:2] == ["training.repeatable", "affine.per_channel"]
    assert len(groups) == 2


def test_second_derivatives_follow_from_dx_alone() -> None:
    """They are derivatives of dx: an error of dbeta explains none."""
    second = deviation("second_order.training", "by_x", "training_second_order")
    for output, count in (("dx", 1), ("dbeta", 2)):
        first = deviation(f"gradient.training_{output}", output)
        both = {d.finding.clause: LARGE for d in (first, second)}
        assert len(grouped([first, second], [both])) == count


def test_dx_explains_no_error_of_y() -> None:
    """y that hides NaN is a cause of its own beside a dx that is wrong for any values."""
    dx = deviation("gradient.training_dx", "dx")
    y = needing(deviation("special.nan_is_not_hidden", "y", "training"), "values of x")
    assert len(grouped([dx, y], [{d.finding.clause: LARGE for d in (dx, y)}])) == 2


def test_a_clause_about_refusals_names_no_cause_that_other_calls_show() -> None:
    """An empty batch that spoils the statistics does so in a call that must be refused, too."""
    changed = Evidence(step=0, call="training", relation="unchanged", output="running_mean", index=(0,), ratio=LARGE)
    refused = deviation("errors.leave_the_state", "running_mean", evidence=changed)
    empty = needing(deviation("degenerate.empty_batch", "running_mean", "training"), "count")
    [group] = grouped([refused, empty], [{d.finding.clause: LARGE for d in (refused, empty)}])
    assert group[0].finding.clause == "degenerate.empty_batch"


def test_an_array_whose_nan_is_hidden_is_one_cause_whatever_array_it_is() -> None:
    """A layer that takes NaN for 0 does so in x and in dy."""

    def hidden(clause: str, output: str, feature: str, value: str = NOT_FINITE) -> Deviation:
        found = with_relation(deviation(clause, output), "not_finite")
        return dataclasses.replace(found, conditions=(Condition(feature, value, "standard normal"),))

    y = hidden("special.nan_is_not_hidden", "y", "values of x")
    assert len(grouped([y, hidden("special.cotangent_nan_is_not_hidden", "dgamma", "values of dy")], [])) == 1
    assert len(grouped([y, deviation("gradient.training_dgamma", "dgamma")], [])) == 2


def test_a_comparison_of_two_calls_names_no_cause_that_one_call_shows() -> None:
    """Statistics that no longer move after inference are wrong, not only other than those of a layer that did not infer."""
    mean = dataclasses.replace(
        deviation("running.mean", "running_mean"), conditions=(Condition("history", "after inference", "a new layer"),)
    )
    repeatable = deviation("training.repeatable", "running_mean", "training")
    assert repeatable.finding.evidence is not None
    evidence = msgspec.structs.replace(repeatable.finding.evidence, relation="equal_bits", compared_with=0)
    repeatable = dataclasses.replace(repeatable, finding=msgspec.structs.replace(repeatable.finding, evidence=evidence))
    [group] = grouped([repeatable, mean], [{d.finding.clause: LARGE for d in (repeatable, mean)}])
    assert group[0] is mean


def test_what_needs_a_frozen_layer_is_one_cause() -> None:
    """As long as a clause on freezing says what that does."""
    frozen = deviation("gradient.frozen_statistics", "running_var")
    dx = deviation("mask.gradients", "dx", "training_masked_gradients")
    after = (Condition("history", "after training_masked, freeze, unfreeze", "a new layer"),)
    assert len(grouped([frozen, dataclasses.replace(dx, conditions=after)], [])) == 1
    assert len(grouped([frozen, dx], [])) == 2


def test_what_needs_a_half_dtype_is_named_by_it() -> None:
    """Results that are wrong in half precision alone are not as exact as the arithmetic that is declared."""
    dx, half = deviation("gradient.inference_dx", "dx"), deviation("dtype.half_is_as_exact_as_declared", "dx")
    both = [{d.finding.clause: LARGE for d in (dx, half)}]
    [group] = grouped([needing(dx, "dtype"), needing(half, "dtype")], both)
    assert group[0].finding is half.finding
    [group] = grouped([dx, needing(half, "dtype")], both)
    assert group[0].finding is dx.finding


def test_an_error_within_the_bounds_of_half_precision_is_seen_in_narrower_ones() -> None:
    """y that is wrong in inference is so beside half-precision x, where only the clause on narrowed parameters sees it."""
    y = deviation("inference.output", "y", "inference")
    narrowed = needing(deviation("dtype.parameters_are_not_narrowed", "y", "inference"), "dtype")
    kept = [{"inference.output": 0.5, "dtype.parameters_are_not_narrowed": LARGE}]
    assert len(grouped([y, narrowed], kept)) == 1
    assert len(grouped([y, dataclasses.replace(narrowed, changing=frozenset({"dtype"}))], kept)) == 2


def test_what_is_written_into_arrays_changes_any_result() -> None:
    """A layer that starts otherwise than it was given writes into a beta that shares memory with its state."""
    given = with_relation(deviation("state.starts_as_given", "running_var", "inference"), "equals")
    shared = needing(deviation("purity.shared_arguments", "y", "training"), "layout of the parameters")
    changed = dataclasses.replace(shared, changing=frozenset({"layout of the parameters"}))
    assert len(grouped([given, changed], [])) == 1
    assert len(grouped([deviation("training.output", "y"), changed], [])) == 2


def test_what_a_well_formed_call_shows_comes_before_what_is_accepted() -> None:
    """A call that must be refused is as little ordinary as a condition."""
    accepted = cause_of([deviation("errors.malformed_data", "y").finding], (), 1, "")
    wrong = cause_of([deviation("training.output", "y").finding], (), 1, "")
    strided = (Condition("layout of x", "strided", "packed"), Condition("dtype", "float16", "float32"))
    most = cause_of([deviation("gradient.training_dx", "dx").finding], strided, 1, "")
    assert sorted([most, accepted, wrong], key=ordinary_first) == [wrong, accepted, most]


def test_a_digit_that_a_wrong_gradient_loses_is_no_other_cause() -> None:
    """It needs the gamma that the gradient needs, and an extent beside which gamma is no setting."""
    dx = needing(deviation("gradient.training_dx", "dx", ratio=LARGE), "gamma")
    digit = needing(deviation("accuracy.keeps_a_digit", "dx"), "values of x", "extents", "gamma")
    assert len(grouped([dx, digit], [])) == 1
    assert len(grouped([dx, needing(digit, "values of x", "extents")], [])) == 2


def test_a_rank_with_other_extents_is_no_cause_beside_extents() -> None:
    """Rows beyond a block that are left out are other ones where axes are joined."""
    y = needing(deviation("inference.output", "y", "inference"), "extents")
    axis = needing(deviation("layout.axis", "y", "inference"), "rank", "extents")
    axis = dataclasses.replace(axis, changing=frozenset({"rank"}))
    both = [{d.finding.clause: LARGE for d in (y, axis)}]
    assert len(grouped([y, axis], both)) == 1
    assert len(grouped([deviation("inference.output", "y", "inference"), axis], both)) == 2


def test_a_masked_call_that_is_compared_with_another_needs_no_history() -> None:
    """The other call is before it: a mask that is inverted is one cause."""
    mean = deviation("mask.equals_compaction", "running_mean", "training_masked")
    inert = needing(deviation("mask.padding_is_inert", "running_var", "training_masked"), "history")
    assert inert.finding.evidence is not None
    evidence = msgspec.structs.replace(inert.finding.evidence, relation="equal_bits", compared_with=0)
    compared = dataclasses.replace(inert, finding=msgspec.structs.replace(inert.finding, evidence=evidence))
    assert len(grouped([mean, compared], [])) == 1
    assert len(grouped([mean, inert], [])) == 2


def test_an_operation_that_is_not_needed_names_no_cause() -> None:
    """A second masked step that starts again moves the statistics of a frozen layer, too."""
    after = Condition("history", "after training_masked", "a new layer")
    masked = dataclasses.replace(
        deviation("mask.equals_compaction", "running_var", "training_masked"), conditions=(after,)
    )
    frozen = with_relation(deviation("gradient.frozen_statistics", "running_var", "training_masked"), "unchanged")
    frozen = dataclasses.replace(
        frozen, conditions=(Condition("history", "after training_masked, freeze", "a new layer"),)
    )
    [group] = grouped([frozen, masked], [{d.finding.clause: LARGE for d in (frozen, masked)}])
    assert group[0] is masked


def test_a_small_error_that_needs_what_a_large_one_needs_has_its_cause() -> None:
    """A gamma of 0 that is nudged is seen in y by little, and in dx, which must be 0, by much."""
    y = needing(deviation("training.output", "y", ratio=1.5), "gamma")
    dx = needing(deviation("gradient.training_dx", "dx", ratio=LARGE), "gamma")
    large = (
        {"training.output": 1.5, "gradient.training_dx": 10.0},
        {"training.output": 0.5, "gradient.training_dx": LARGE},
    )
    assert len(grouped([y, dx], large)) == 1
    assert len(grouped([y, needing(dx, "state")], large)) == 2


def test_what_an_operation_loses_may_be_a_setting() -> None:
    """A restored layer with the default epsilon is wrong where another was given: that is one cause, named by the operation."""
    after = Condition("history", "after training, save_restore", "a new layer")
    restored = dataclasses.replace(deviation("state.snapshot_continues", "y", "inference"), conditions=(after,))
    y = dataclasses.replace(
        deviation("training.output", "y", ratio="inf"), conditions=(after, Condition("epsilon", "1", "negligible"))
    )
    [group] = grouped([restored, y], [])
    assert group[0] is restored
    assert (
        len(
            grouped(
                [restored, dataclasses.replace(y, conditions=(after, Condition("dtype", "float64", "float32")))], []
            )
        )
        == 2
    )


def test_few_values_are_no_constant_channel() -> None:
    """A clause about constants names what needs constants, one about a count of 1 what needs that."""
    y = needing(deviation("training.output", "y"), "count")
    constant = dataclasses.replace(
        deviation("degenerate.constant_channel", "y"),
        conditions=(*y.conditions, Condition("values of x", "constant in a channel", "standard normal")),
    )
    both = [{d.finding.clause: LARGE for d in (y, constant)}]
    [group] = grouped([y, constant], both)
    assert group[0] is y
    one = Condition("count", "1 value per channel", "16")
    count = dataclasses.replace(deviation("degenerate.gradients_of_count_one", "dx", ratio="inf"), conditions=(one,))
    dx = dataclasses.replace(deviation("gradient.training_dx", "dx", ratio="inf"), conditions=(one,))
    [group] = grouped([dx, count], [{d.finding.clause: LARGE for d in (dx, count)}])
    assert group[0] is count


def test_what_needs_the_same_as_a_member_of_a_cause_may_follow_from_it() -> None:
    """Rows of a batch are wrong whatever the case; y of one row, and its gradients, in such a batch alone."""
    rows = deviation("inference.value_is_independent_of_batch", "y", "inference", ratio="inf")
    y, dx = (
        dataclasses.replace(
            deviation(c, o, "inference_gradients", ratio="inf"), conditions=(Condition("one row", "1 row", "2 rows"),)
        )
        for c, o in (("inference.output", "y"), ("gradient.inference_dx", "dx"))
    )
    names = [d.finding.clause for d in (rows, y, dx)]
    outcomes = [dict.fromkeys(names, LARGE), {names[0]: 0.25, names[1]: LARGE, names[2]: LARGE}]
    assert len(grouped([rows, y, dx], outcomes)) == 1
