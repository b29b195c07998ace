"""Checks of what is done with a layer between its calls: saved, copied, reset, frozen, given another decay."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bnspec.conformance.checks.check import INFERENCE_CALLS, TRAINING_CALLS, Check, Domain, everywhere, only_if
from bnspec.conformance.checks.examination import Examination, Mask, first_index
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.checks.state import STATE, keeps_state
from bnspec.model.call import (
    CLONE,
    FREEZE,
    INFERENCE,
    INFERENCE_GRADIENTS,
    RESET,
    SAVE_RESTORE,
    SET_DECAY,
    SWAP,
    TRAINING_LATE_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_SOME_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
    UNFREEZE,
    Call,
)

#: Calls that move the running statistics of a layer that is not frozen.
MOVING = (
    *TRAINING_CALLS,
    TRAINING_SECOND_ORDER,
    TRAINING_TANGENT,
    TRAINING_SOME_GRADIENTS,
    TRAINING_THIRD_ORDER,
    TRAINING_TANGENT_GRADIENT,
)

#: Derivatives that a frozen layer has by its constant statistics.
DERIVATIVES = (TRAINING_SECOND_ORDER, TRAINING_TANGENT, TRAINING_SOME_GRADIENTS)
#: Calls of which no more is asked here than that constant statistics stay: what they give, other clauses judge.
OTHERS = (
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_LATE_GRADIENTS,
    TRAINING_THIRD_ORDER,
    TRAINING_TANGENT_GRADIENT,
)
#: A layer is made not trainable, or trainable again.
FREEZING = (FREEZE, UNFREEZE)
#: Calls that every user makes.
PASSES = (*TRAINING_CALLS, *INFERENCE_CALLS)


def goes_on(exam: Examination, i: int, operations: tuple[Call, ...]) -> Judgement | None:
    """A pass after these operations is right, if one before them on the same input was, with the same settings.

    Nothing is said where the pass before was wrong, or another operation came between: the layer is then wrong in itself.
    """
    start = exam.case.built_at(i)
    between = [k for k in range(start + 1, i) if exam.step(k).call.between or exam.step(k).refused]
    last = next((k for k in reversed(between)), start)
    if exam.step(last).call not in operations or exam.result(i).status != "ok":
        return None
    first = next((k for k in reversed(between) if exam.step(k).call not in operations or exam.step(k).refused), start)

    def like(j: int) -> bool:
        same = exam.step(j).call.mode == exam.step(i).call.mode and exam.step(j).inputs[:1] == exam.step(i).inputs[:1]
        ended = same and exam.step(j).call in PASSES and exam.result(j).status == "ok"
        return ended and exam.case.settings_at(j) == exam.case.settings_at(i)

    for j in (k for k in range(first, last) if like(k)):
        names = tuple(n for n in exam.expected(j) if n in exam.expected(i))
        before = exam.within(j, names)
        if before is not None and before.holds:
            return exam.within(i, names)
    return None


def continues(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Saving and restoring changes no statistic; afterwards passes are right that were right before."""
    restored = exam.step(i).call == SAVE_RESTORE
    return keeps_state(exam, i, channels) if restored else goes_on(exam, i, (SAVE_RESTORE,))


def has(operation: Call) -> Domain:
    """The domain of histories with this operation."""
    return only_if(lambda case, step: any(s.call == operation for s in case.steps))


def copied(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A copy has its original's state, and its passes are right where those were; an original that is used again has the state that
    it was left with.
    """
    if exam.step(i).call == CLONE:
        return keeps_state(exam, i, channels)
    if exam.step(i).call in PASSES:
        return goes_on(exam, i, (CLONE,))
    away = set_aside(exam, i)
    if away is None:
        return None
    for name in STATE:
        left, found = exam.result(away).after.get(name), exam.result(i).after.get(name)
        if left is not None and found is not None:
            message = f"{name} changed while the other layer was used"
            judgement = exam.bits(i, "unchanged", name, (left, found), message, away)
            if not judgement.holds:
                return judgement
    return KEPT


def set_aside(exam: Examination, i: int) -> int | None:
    """The last step on the layer that step i, a swap, takes up again; None where its state then is not known."""
    start, away = exam.case.built_at(i), None
    for j in range(start + 1, i):
        if exam.result(j).status != "ok" and not exam.step(j).refused:
            return None
        if exam.step(j).call in (CLONE, SWAP):
            away = j - 1  # the layer in use until then
    return away


def initial_again(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The state after a reset is that of a new layer."""
    return _is_initial(exam, i, exam.result(i).after)


def begins_as_declared(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A new layer's state is the declared one, and inference by it is defined."""
    if i != exam.case.built_at(i) or not exam.step(i).option("initial"):
        return None
    state = _is_initial(exam, i, exam.result(i).before)
    return exam.within(i, ("y",)) if state.holds else state


def _is_initial(exam: Examination, i: int, state: Mapping[str, np.ndarray]) -> Judgement:
    wanted = {"running_mean": exam.conventions.initial_mean, "running_var": exam.conventions.initial_var}
    for name, value in wanted.items():
        wide = state[name].astype(np.float64)
        index = first_index(wide != value)
        if index is not None:
            numbers = value, wide[index]
            return exam.broken(i, "equals", f"{name} is {wide[index]}", output=name, index=index, numbers=numbers)
    return KEPT


def frozen(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Freezing changes no statistic; a frozen layer's training pass is what the conventions declare, and an unfrozen one's what it was before.

    Of some calls no more is asked than that constant statistics stay; see ``OTHERS``.
    """
    call = exam.step(i).call
    if call in FREEZING:
        return keeps_state(exam, i, channels)
    if call in OTHERS:
        constant = exam.frozen(i) and exam.conventions.frozen_gradients == "constants"
        return keeps_state(exam, i, channels) if constant else None
    if exam.frozen(i):
        moved = keeps_state(exam, i, channels) if exam.conventions.frozen_gradients == "constants" else None
        if moved is not None and not moved.holds:
            return moved
        return exam.within(i, ("y", "dx", "dgamma", "dbeta", "along", "by_x", "by_dy", "by_gamma", *STATE))
    return goes_on(exam, i, FREEZING) if call in PASSES else None


def takes_new_decay(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Another decay changes no statistic by itself; a step after it moves the state by the new one."""
    if exam.step(i).call.kind == "set_decay":
        return keeps_state(exam, i, channels)
    decay, frozen = exam.case.settings_at(i, lambda j: exam.result(j).status == "ok")
    return exam.within(i, STATE) if decay is not None and not frozen else None


def unrolled(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The state after t steps, from the state before the first, by the exact statistics of every batch.

    With e the exact chain and o what was observed:  e_t = exact(o_{t-1}) + decay (e_{t-1} - o_{t-1}),  and the bounds add up the
    same way:  b_t = bound_t + decay b_{t-1}.
    """
    start = exam.case.built_at(i)
    moving = [j for j in range(start, i + 1) if exam.step(j).call in MOVING]
    plain = all(exam.step(j).call in (*MOVING, INFERENCE, INFERENCE_GRADIENTS) for j in range(start, i + 1))
    if len(moving) < 2 or moving[-1] != i or not plain or any(exam.result(j).status != "ok" for j in moving):
        return None
    decay = exam.built(i).config.decay
    worst: Judgement | None = None
    for name in STATE:
        off, limit = np.zeros(exam.built(i).config.channels), np.zeros(exam.built(i).config.channels)
        for j in moving:
            expected, got = exam.expected(j).get(name), exam.got(j, name)
            if expected is None or got is None or got.shape != limit.shape:
                break
            with np.errstate(all="ignore"):
                off = got.astype(np.float64) - expected.rounded + decay * off
                limit = expected.bounds["lenient"] + decay * limit
        else:
            with np.errstate(all="ignore"):
                ratio = np.where(off == 0.0, 0.0, np.abs(off) / limit)
                ratio = np.where(np.isfinite(limit), np.where(np.isnan(ratio), math.inf, ratio), -1.0)
            if ratio.size and ratio.max() >= 0.0 and (worst is None or ratio.max() > worst.ratio):
                k, wide = int(ratio.argmax()), exam.result(i).after[name].astype(np.float64)
                message = f"{name}[{k}] is off by {off[k]:.3g} after {len(moving)} steps"
                worst = exam.worst_element(i, "within_bound", name, ratio, (wide - off, wide, limit), message)
    return worst


CHECKS = (
    Check("state.snapshot_continues", (SAVE_RESTORE, *PASSES), continues, has(SAVE_RESTORE)),
    Check("state.copy_is_independent", (CLONE, SWAP, *PASSES), copied, has(CLONE)),
    Check("state.reset_restores_the_beginning", (RESET,), initial_again, everywhere),
    Check("running.initial_state", (INFERENCE,), begins_as_declared, everywhere),
    Check(
        "gradient.frozen_statistics",
        (*TRAINING_CALLS, *DERIVATIVES, TRAINING_STATE_GRADIENTS, *OTHERS, *FREEZING),
        frozen,
        everywhere,
    ),
    Check("running.new_decay_takes_effect", (*TRAINING_CALLS, SET_DECAY), takes_new_decay, everywhere),
    Check("running.unrolled", TRAINING_CALLS, unrolled, everywhere),
)
