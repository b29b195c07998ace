"""Checks of the family running, and of the state's part in inference: what calls leave behind."""

from __future__ import annotations

import numpy as np

from bnspec.conformance.checks.check import (
    INFERENCE_CALLS,
    TRAINING_CALLS,
    Check,
    count_of,
    everywhere,
    in_full_precision,
    only_if,
    within,
)
from bnspec.conformance.checks.examination import Examination, Mask, first_index
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.model.call import (
    TRAINING_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
    Kind,
    call_of,
)
from bnspec.model.case import Step
from bnspec.oracle.oracle import Oracle

STATE = ("running_mean", "running_var")
#: Derivatives that are asked for in other ways: each call is one step in training, and none in inference.
DERIVATIVES: tuple[Kind, ...] = ("some_gradients", "second_order", "tangent")


def moved_before(exam: Examination, i: int) -> int:
    """How many training steps the layer of step i has taken before."""
    start = exam.case.built_at(i)
    return sum(exam.step(j).call in TRAINING_CALLS and exam.result(j).status == "ok" for j in range(start, i))


def second_step(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A step that is not the layer's first gives the update of the state that the step before left."""
    if moved_before(exam, i) == 0:
        return None
    between = kept_between(exam, i) if exam.result(i - 1).after else KEPT
    return exam.within(i, STATE) if between.holds else between


def debiased_from_zero(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """After its first step a new layer whose average is debiased has the statistics of the batch: its initial values are gone."""
    return exam.within(i, STATE) if exam.began(i) == 0 else None


def no_debiased_average(exam: Examination, i: int) -> str:
    """Why nothing is asked of an average that keeps its initial values."""
    return "" if exam.conventions.first_batch == "debiased" else "the conventions declare no debiased average"


def kept_between(exam: Examination, i: int) -> Judgement:
    """The state before step i is the state after the step before it, bit by bit."""
    left, found = exam.result(i - 1).after, exam.result(i).before
    for name in STATE:
        message = f"{name} changed between two calls"
        judgement = exam.bits(i, "unchanged", name, (left[name], found[name]), message, i - 1)
        if not judgement.holds:
            return judgement
    return KEPT


def keeps_state(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The state after is the state before, bit by bit."""
    result = exam.result(i)
    for name in STATE:
        found = exam.bits(i, "unchanged", name, (result.before[name], result.after[name]), f"{name} changed")
        if not found.holds:
            return found
    return KEPT


def follows_training(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y of an inference that comes after training steps, by the statistics that they left."""
    return exam.within(i, ("y",)) if moved_before(exam, i) else None


def not_negative(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """No running variance falls below 0."""
    before, after = (exam.result(i).before["running_var"], exam.result(i).after["running_var"])
    if after.shape != before.shape:
        return None
    old, new = before.astype(np.float64), after.astype(np.float64)
    asked = (old >= 0.0) & channels
    if not asked.any():
        return None
    index = first_index(asked & (new < 0.0))
    if index is None:
        return KEPT
    message, numbers = f"running_var is {new[index]}", (None, new[index])
    return exam.broken(i, "not_negative", message, output="running_var", index=index, numbers=numbers)


def visible_between_calls(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """What is read before a call is what was read after the one before: reading has no effect, and nothing is deferred."""
    if i == exam.case.built_at(i) or exam.step(i).call.kind == "swap":
        return None
    if exam.result(i - 1).status != "ok" or not exam.result(i - 1).after or not exam.result(i).before:
        return None
    return kept_between(exam, i)


def as_given(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The state before the first call of a layer is what it was built from."""
    if i != exam.case.built_at(i) or exam.step(i).option("initial"):
        return None
    for name in STATE:
        found, given = exam.result(i).before.get(name), exam.built(i).arrays[name]
        if found is None or found.shape != given.shape:
            continue
        a, b = found.astype(np.float64), given.astype(np.float64)
        index = first_index(~((a == b) | (np.isnan(a) & np.isnan(b))))
        if index is not None:
            numbers = b[index], a[index]
            return exam.broken(i, "equals", f"{name} is {a[index]}", output=name, index=index, numbers=numbers)
    return KEPT


def finite_batch(oracle: Oracle, step: Step) -> Mask:
    """Channels whose values are all finite, of a batch that is not empty."""
    x = oracle.case.arrays[step.inputs[0]].astype(np.float64)
    if not count_of(oracle.case, step):
        return np.zeros(oracle.case.config.channels, bool)
    return np.asarray(np.isfinite(x).all(axis=oracle.case.config.reduce_axes))


CHECKS = (
    within("running.mean", TRAINING_CALLS, ("running_mean",)),
    within("running.var", TRAINING_CALLS, ("running_var",)),
    within("running.statistics_are_stable", TRAINING_CALLS, STATE, in_full_precision, "permissive"),
    within(
        "running.moves_once_with_gradients",
        (
            TRAINING_GRADIENTS,
            TRAINING_STATE_GRADIENTS,
            TRAINING_THIRD_ORDER,
            TRAINING_TANGENT_GRADIENT,
            *(call_of("training", kind) for kind in DERIVATIVES),
        ),
        STATE,
    ),
    Check("running.second_step_continues", TRAINING_CALLS, second_step, everywhere, outputs=STATE),
    within("running.decay_one_keeps", TRAINING_CALLS, STATE, only_if(lambda case, step: case.config.decay == 1.0)),
    within("running.decay_zero_replaces", TRAINING_CALLS, STATE, only_if(lambda case, step: case.config.decay == 0.0)),
    Check(
        "running.debias_from_zero_only",
        TRAINING_CALLS,
        debiased_from_zero,
        only_if(lambda case, step: any(s.option("initial") for s in case.steps)),
        declines=no_debiased_average,
    ),
    Check("running.var_not_negative", TRAINING_CALLS, not_negative, finite_batch, outputs=STATE[1:]),
    Check("state.starts_as_given", (*TRAINING_CALLS, *INFERENCE_CALLS), as_given, everywhere),
    Check("state.is_visible_after_each_step", (*TRAINING_CALLS, *INFERENCE_CALLS), visible_between_calls, everywhere),
    Check(
        "inference.keeps_state",
        (*INFERENCE_CALLS, *(call_of("inference", kind) for kind in DERIVATIVES)),
        keeps_state,
        everywhere,
        outputs=STATE,
    ),
    Check("inference.follows_training", INFERENCE_CALLS, follows_training, everywhere),
)
