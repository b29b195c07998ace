"""Two faults of a layer: what the one shows that does not follow from the other."""

from __future__ import annotations

import dataclasses

import msgspec

from bnspec.conformance.causes.deviation import Deviation
from bnspec.conformance.causes.grouping import grouped
from bnspec.conformance.causes.naming import said_of
from bnspec.conformance.causes.values import NOT_FINITE
from bnspec.reports.run.causes import Condition
from tests.support.deviations import LARGE, deviation, needing, with_relation


def test_an_operation_leaves_what_it_leaves_whatever_a_step_computes() -> None:
    """A reset that forgets the mean is a cause of its own beside statistics that are always wrong."""
    mean = deviation("running.mean", "running_mean", "training")
    reset = with_relation(deviation("state.reset_restores_the_beginning", "running_mean", "reset"), "equals")
    both = [{d.finding.clause: LARGE for d in (mean, reset)}]
    assert len(grouped([mean, reset], both)) == 2
    after = deviation("state.reset_restores_the_beginning", "running_mean", "training")
    assert len(grouped([mean, after], both)) == 1


def test_what_hides_nan_explains_no_error_of_finite_values() -> None:
    """Nor does what constants show: a root that is too small is seen in sums of ordinary values."""
    nan = with_relation(deviation("special.inference_keeps_special_values", "y", "inference"), "not_finite")
    nan = dataclasses.replace(nan, conditions=(Condition("values of x", NOT_FINITE, "standard normal"),))
    biased = deviation("accuracy.errors_are_unbiased", "y", "inference", ratio=2.0)
    biased = needing(with_relation(biased, "no_offset"), "extents", "many channels")
    assert len(grouped([nan, biased], [])) == 2
    assert len(grouped([deviation("inference.output", "y", "inference"), biased], [])) == 1


def test_beside_values_extents_are_no_misread_array() -> None:
    """Only many values have one that is so far from their mean that a clipped y shows; of x that is misread the mean is wrong, too."""
    y = needing(deviation("training.output", "y"), "values of x", "extents")
    mean = needing(deviation("running.mean", "running_mean"), "values of x", "extents")
    extents = needing(deviation("layout.extents", "y"), "values of x", "extents")

    def named(*found: Deviation) -> Deviation:
        [group] = grouped([*found, extents], [{d.finding.clause: LARGE for d in (*found, extents)}])
        return group[0]

    assert named(y) is y
    assert named(y, mean) is extents
    assert named(needing(y, "extents")) is extents


def test_what_needs_threads_is_not_kept_by_chance_without_them() -> None:
    """y of one value has no error whatever the layer does, and dx that is wrong there needs no threads."""
    y = needing(deviation("training.output", "y", ratio=LARGE), "threads")
    dx = needing(deviation("gradient.training_dx", "dx"), "count")
    outcomes = [
        {"training.output": LARGE, "gradient.training_dx": LARGE},
        {"training.output": 0.0, "gradient.training_dx": LARGE},
    ]
    assert len(grouped([y, dx], outcomes)) == 2
    assert len(grouped([needing(y), dx], outcomes)) == 1


def test_what_a_call_writes_explains_no_error_of_a_certain_shape() -> None:
    """A layer that writes into x does so in every rank: y that is wrong in one has another cause, and is named by that."""
    written = with_relation(deviation("purity.arguments", "x"), "unchanged")
    y = needing(deviation("training.output", "y"), "rank")
    axis = needing(deviation("layout.axis", "y"), "rank")
    both = [{d.finding.clause: LARGE for d in (written, y, axis)}]
    groups = grouped([written, y, axis], both)
    assert [g[0].finding.clause for g in groups] == ["purity.arguments", "layout.axis"]
    assert len(grouped([written, needing(y), axis], both)) == 1
    assert len(grouped([needing(written, "rank"), y, axis], both)) == 1


def test_what_writes_into_its_input_is_said_to_need_what_that_needs() -> None:
    """Not what a gradient needs that reads the same memory afterwards."""
    written = with_relation(deviation("purity.arguments", "x"), "unchanged")
    dbeta = needing(deviation("gradient.training_dbeta", "dbeta"), "layout of dy")
    assert said_of([written, dbeta]) == ()
    assert said_of([needing(written, "dtype"), dbeta]) == needing(written, "dtype").conditions
    assert said_of([deviation("layout.strides", "dbeta"), dbeta]) == dbeta.conditions


def test_what_a_cause_explains_beside_others_is_no_need_of_its_own() -> None:
    """A comparison of bits that strides change, too, makes a wrong epsilon no cause of strides."""
    y = needing(deviation("inference.output", "y", "inference"), "epsilon")
    bits = deviation("inference.bits_are_independent_of_batch", "y", "inference")
    bits = needing(with_relation(bits, "equal_bits"), "layout of x")
    assert bits.finding.evidence is not None
    evidence = msgspec.structs.replace(bits.finding.evidence, compared_with=0)
    bits = dataclasses.replace(bits, finding=msgspec.structs.replace(bits.finding, evidence=evidence))
    strides = needing(deviation("layout.strides", "y", "inference"), "layout of x")
    strides = dataclasses.replace(strides, changing=frozenset({"layout of x"}))
    every = [{d.finding.clause: LARGE for d in (y, bits, strides)}]
    assert [g[0] for g in grouped([y, bits, strides], every)] == [y, strides]


def test_a_derivative_along_a_direction_is_computed_apart() -> None:
    """A tangent that is always wrong explains no third derivative that is wrong without gamma alone."""
    tangent = deviation("gradient.forward_mode", "along", "training_tangent")
    third = deviation("second_order.third_derivative", "by_x", "training_tangent_gradient")
    both = {d.finding.clause: LARGE for d in (tangent, third)}
    only = [both, {**both, "second_order.third_derivative": 0.5}]
    assert len(grouped([tangent, needing(third, "affine")], only)) == 2
    assert len(grouped([tangent, third], only)) == 1


def test_a_second_derivative_follows_from_its_own_mode() -> None:
    """A beta that inference forgets, and an inverse root of training, whose second derivative is wrong; a dx of training explains none of inference."""
    y = needing(deviation("inference.output", "y", "inference"), "beta")
    training = needing(deviation("second_order.training", "by_x", "training_second_order"), "dtype")
    assert len(grouped([y, training], [{d.finding.clause: LARGE for d in (y, training)}])) == 2
    inference = needing(deviation("second_order.inference", "by_dy", "inference_second_order"), "beta")
    assert len(grouped([y, inference], [{d.finding.clause: LARGE for d in (y, inference)}])) == 1
    dx = deviation("gradient.training_dx", "dx")
    assert len(grouped([dx, inference], [{d.finding.clause: LARGE for d in (dx, inference)}])) == 2


def test_what_needs_a_state_is_separated_beside_that_state() -> None:
    """Where gradients of inference are wrong for tiny variances alone, y of training is right there, and explains none of them."""
    y = deviation("training.output", "y")
    dx = needing(deviation("gradient.inference_dx", "dx", "inference_gradients"), "state")
    both = {d.finding.clause: LARGE for d in (y, dx)}
    assert len(grouped([y, dx], [both], [{**both, "training.output": 0.5}])) == 2
    assert len(grouped([y, needing(dx)], [both], [{**both, "training.output": 0.5}])) == 1


def test_a_network_makes_no_operations_between_calls() -> None:
    """A bias that is trained is a cause of its own beside a reset that brings back the decay."""
    bias = deviation("placement.bias_has_no_gradient", "b1", "learn")
    mean = deviation("running.mean", "running_mean", "training")
    for calls, count in (("training, set_decay, reset", 2), ("training", 1)):
        after = dataclasses.replace(mean, conditions=(Condition("history", f"after {calls}", "a new layer"),))
        assert len(grouped([after, bias], [])) == count


def test_a_mask_explains_nothing_of_other_calls() -> None:
    """Integers whose mean is rounded need no mask."""
    mask = deviation("mask.equals_compaction", "y", "training_masked")
    integers = deviation("dtype.integers_become_floating", "y", "training")
    assert len(grouped([mask, integers], [])) == 2
    assert len(grouped([mask, deviation("mask.counts_elements", "y", "training_masked")], [])) == 1


def test_a_network_of_several_channels_shows_no_error_of_one() -> None:
    """A bias that is trained is a cause of its own beside a variance that is wrong for one channel."""
    y, bias = (
        needing(deviation("training.output", "y"), "one channel"),
        deviation("placement.trajectory", "b1", "learn"),
    )
    assert len(grouped([y, bias], [])) == 2
    assert len(grouped([y, dataclasses.replace(bias, unknown=frozenset({"one channel"}))], [])) == 1


def test_what_needs_nan_and_what_needs_extents_are_two_causes() -> None:
    """A step that is skipped where x has NaN, and a count that overflows."""
    mean = dataclasses.replace(
        deviation("running.mean", "running_mean"), conditions=(Condition("values of x", NOT_FINITE, "standard normal"),)
    )
    y = deviation("training.output", "y", ratio=LARGE)
    both = [{d.finding.clause: LARGE for d in (mean, y)}]
    assert len(grouped([mean, needing(y, "extents")], both)) == 2
    assert len(grouped([mean, y], both)) == 1


def test_a_clause_about_extents_is_said_to_need_no_nan_where_the_others_need_none() -> None:
    """Its smallest case shows the step that is skipped where x has NaN, and the cause that it names is the count that overflows."""
    y = needing(deviation("training.output", "y"), "extents")
    extents = needing(deviation("layout.extents", "running_mean"), "extents")
    nan = Condition("values of x", NOT_FINITE, "standard normal")
    extents = dataclasses.replace(extents, conditions=(nan, *extents.conditions))
    assert said_of([extents, y]) == y.conditions
    assert said_of([extents, dataclasses.replace(y, conditions=extents.conditions)]) == extents.conditions


def test_what_needs_nan_alone_is_not_what_needs_nothing() -> None:
    """Both have no setting; a y of constants may be one with a y of no values."""
    y = deviation("training.output", "y", ratio="inf")
    rows = deviation("inference.value_is_independent_of_batch", "y", "inference", ratio="inf")
    nan, constant = (
        dataclasses.replace(y, conditions=(Condition("values of x", kind, "standard normal"),))
        for kind in ("NaN or infinite", "constant in a channel")
    )
    assert len(grouped([nan, rows], [])) == 2
    assert len(grouped([constant, rows], [])) == 1
    assert len(grouped([y, rows], [])) == 1


def test_what_is_written_into_cotangents_changes_no_statistic() -> None:
    """Nor y; it may change gradients."""
    written = with_relation(deviation("purity.arguments", "dy"), "unchanged")
    assert written.finding.evidence is not None
    evidence = msgspec.structs.replace(written.finding.evidence, names=("dy2",))
    written = dataclasses.replace(written, finding=msgspec.structs.replace(written.finding, evidence=evidence))
    mean, dx = deviation("running.mean", "running_mean"), deviation("gradient.training_dx", "dx")
    both = [{d.finding.clause: LARGE for d in (written, mean, dx)}]
    assert len(grouped([written, mean], both)) == 2
    assert len(grouped([written, dx], both)) == 1


def test_what_a_reset_leaves_follows_from_no_y() -> None:
    """It is an operation of its own, however wrong a step is."""
    y = deviation("training.output", "y", ratio="inf")
    reset = deviation("state.reset_restores_the_beginning", "running_var", "reset", ratio="inf")
    assert len(grouped([y, reset], [{d.finding.clause: LARGE for d in (y, reset)}])) == 2


def test_what_is_refused_may_follow_from_what_the_same_calls_leave() -> None:
    """A second fit that goes on from the first has other results, and fits nothing without an error."""
    after = (Condition("history", "after fit", "a new layer"),)
    fit = dataclasses.replace(deviation("input.fit", "mean", "fit"), conditions=after)
    nothing = dataclasses.replace(
        with_relation(deviation("input.nothing_to_fit", "mean", "fit"), "raises"), conditions=after
    )
    assert len(grouped([fit, nothing], [])) == 1
    assert len(grouped([dataclasses.replace(fit, conditions=()), nothing], [])) == 2


def test_what_two_causes_show_together_belongs_to_one_of_them() -> None:
    """A clause about extents deviates in each experiment with one or the other, and is no third cause."""
    var = deviation("running.var", "running_var", "training", ratio="inf")
    dbeta = dataclasses.replace(
        deviation("gradient.training_dbeta", "dbeta", ratio="inf"), conditions=(Condition("rank", "rank 4", "rank 2"),)
    )
    extents = needing(deviation("layout.extents", "running_var", "training", ratio="inf"), "extents")
    names = [d.finding.clause for d in (var, dbeta, extents)]
    outcomes = [
        {names[0]: LARGE, names[1]: 0.25, names[2]: LARGE},
        {names[0]: 0.25, names[1]: LARGE, names[2]: LARGE},
    ]
    assert len(grouped([var, dbeta, extents], outcomes)) == 2


def test_nan_of_the_state_is_nan_of_x() -> None:
    """A step that NaN stops is seen in the statistics of its own batch, and after others, in the state that they leave."""
    mean, later = deviation("running.mean", "running_mean"), deviation("running.second_step_continues", "running_mean")
    nan = Condition("values of x", NOT_FINITE, "standard normal")
    left = (Condition("state", NOT_FINITE, "0.25"), Condition("history", "after training", "a new layer"))
    mean, later = dataclasses.replace(mean, conditions=(nan,)), dataclasses.replace(later, conditions=left)
    outcomes = [{"running.mean": LARGE}, {"running.second_step_continues": LARGE}]
    assert len(grouped([mean, later], outcomes)) == 1
    assert len(grouped([dataclasses.replace(mean, conditions=()), later], outcomes)) == 2


def test_a_tiny_epsilon_that_is_lost_is_one_cause() -> None:
    """Inference shows it beside a tiny variance of the state, training beside one of the batch; the words are about epsilon."""
    y = deviation("training.output", "y", ratio="inf")
    training = dataclasses.replace(y, conditions=(Condition("values of x", "as in the case", "standard normal"),))
    inference = dataclasses.replace(
        deviation("inference.output", "y", "inference", ratio="inf"), conditions=(Condition("epsilon", "0", "1"),)
    )
    given = dataclasses.replace(
        inference, finding=msgspec.structs.replace(inference.finding, clause="epsilon.as_given", family="epsilon")
    )
    both = {d.finding.clause: LARGE for d in (inference, given)}
    [group] = grouped([training, inference, given], [both, {"training.output": LARGE}])
    assert group[0] is given
    assert said_of(group) == inference.conditions
    large = dataclasses.replace(inference, conditions=(Condition("epsilon", "1", "negligible"),))
    assert len(grouped([training, large], [])) == 2
