"""Checks of the family special: NaN, infinities, overflow and negative variances."""

from __future__ import annotations

import numpy as np

from bnspec.conformance.checks.check import (
    INFERENCE_CALLS,
    TRAINING_CALLS,
    Check,
    count_of,
    everywhere,
    squares_overflow,
    within,
)
from bnspec.conformance.checks.examination import Examination, Mask, finite_channels, first_index
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.checks.robustness import ALL, CALLS
from bnspec.model.call import (
    INFERENCE_GRADIENTS,
    TRAINING_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRANSFORM,
)
from bnspec.model.case import PARAMETERS, Case, Step
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Oracle

#: Steps of training, with padding or without.
STEPS = (*TRAINING_CALLS, TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)


def has_moved(exam: Examination, i: int, *names: str) -> bool:
    """Whether one of these statistics is not what the layer was built from: a training step came between."""
    before, built = exam.result(i).before, exam.built(i).arrays
    return any(before[n].tobytes() != built[n].tobytes() for n in names)


def poisoned(oracle: Oracle, step: Step) -> Mask:
    """The finite channels of a step in which some channel is not finite; none where all are."""
    finite = finite_channels(oracle.case, step.inputs)
    return finite if not finite.all() else np.zeros_like(finite)


def infinite_channels(oracle: Oracle, step: Step) -> Mask:
    """Channels of x that hold an infinity."""
    case = oracle.case
    return np.asarray(np.isinf(case.arrays[step.inputs[0]].astype(np.float64)).any(axis=case.config.reduce_axes))


def nan_channels(oracle: Oracle, step: Step) -> Mask:
    """Channels of x that hold a NaN, not on padding."""
    case = oracle.case
    nan = np.isnan(case.arrays[step.inputs[0]].astype(np.float64))
    return np.asarray((nan & elements(case, step)).any(axis=case.config.reduce_axes))


def elements(case: Case, step: Step) -> np.ndarray:
    """Which elements of x count: all, or those that the mask keeps; broadcasts to x."""
    return case.arrays[step.inputs[-1]].astype(bool) if step.call.has_mask else np.ones((1,) * case.config.rank, bool)


def nan_is_shown(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y is NaN all over the channels that hold a NaN or an infinity; with a mask, where it keeps."""
    if exam.frozen(i):
        return None
    y = exam.result(i).outputs["y"]
    if y.shape != exam.case.arrays[exam.step(i).inputs[0]].shape:
        return None
    hidden = exam.spread(channels, y.shape, i) & ~np.isnan(y.astype(np.float64)) & elements(exam.case, exam.step(i))
    index = first_index(hidden)
    if index is None:
        return KEPT
    message = f"y is {y[index]} in a channel that is not finite"
    return exam.broken(i, "not_finite", message, output="y", index=index, numbers=("nan", y[index]))


def nan_reaches_state(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """In channels that hold a NaN, both running statistics become NaN, or neither moves: the whole update was rejected."""
    if exam.frozen(i) or exam.built(i).config.decay == 1.0:
        return None
    before, after = exam.result(i).before, exam.result(i).after
    names = ("running_mean", "running_var")
    if any(after[n].shape != channels.shape or before[n].shape != channels.shape for n in names):
        return None
    nan = {n: np.isnan(after[n].astype(np.float64)) for n in names}
    kept = np.all([after[n] == before[n] for n in names], axis=0)
    for name in names:
        index = first_index(channels & ~nan[name] & ~kept)
        if index is not None:
            message = f"{name}[{index[0]}] is {after[name][index]} after a batch with NaN in its channel"
            numbers = ("nan", after[name][index])
            return exam.broken(i, "not_finite", message, output=name, index=index, numbers=numbers)
    return KEPT


def plain_scales(oracle: Oracle, step: Step) -> Mask:
    """Channels of x with an infinity or NaN whose parameters stay in the range of x's dtype, in every form of inference."""
    case, config = oracle.case, oracle.case.config
    precision = PRECISIONS[config.dtype]
    ones = np.ones(config.channels)
    gamma, beta = (case.arrays.get(n, d).astype(np.float64) for n, d in (("gamma", ones), ("beta", 0.0 * ones)))
    mean, var = (case.arrays[n].astype(np.float64) for n in ("running_mean", "running_var"))
    with np.errstate(all="ignore"):
        total = var + config.epsilon
        scale = np.abs(gamma) / np.sqrt(total)
        inside = (total >= 4.0 * precision.smallest) & (total <= precision.largest / 4.0) & (var >= 0.0)
        inside &= (scale >= 4.0 * precision.smallest) & (scale <= precision.largest / 4.0)
        inside &= np.abs(mean) * np.maximum(scale, 1.0) + np.abs(beta) <= precision.largest / 4.0
    return np.asarray(inside & ~finite_channels(case, step.inputs[:1]))


def passes_special_values(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Inference maps an infinite x to the infinity with gamma's sign, and NaN to NaN."""
    built = exam.built(i).arrays
    if has_moved(exam, i, "running_mean", "running_var"):
        return None
    x, y = exam.case.arrays[exam.step(i).inputs[0]].astype(np.float64), exam.result(i).outputs["y"]
    if y.shape != x.shape:
        return None
    config = exam.built(i).config
    sign = np.sign(built.get("gamma", np.ones(config.channels)).astype(np.float64)).reshape(config.channel_shape)
    got, asked = y.astype(np.float64), exam.spread(channels, y.shape, i) & ~np.isfinite(x)
    expected = np.where(np.isnan(x), np.nan, np.where(np.isinf(x), x * sign, 0.0))
    index = first_index(asked & (got != expected) & ~(np.isnan(got) & np.isnan(expected)))
    if index is None:
        return KEPT
    message = f"y is {y[index]} where x is {x[index]}"
    return exam.broken(i, "not_finite", message, output="y", index=index, numbers=(str(expected[index]), y[index]))


def overflowing(oracle: Oracle, step: Step) -> Mask:
    """Channels of finite values whose squares leave the range of x's dtype, with a gamma that is not 0."""
    case, config = oracle.case, oracle.case.config
    if count_of(case, step) < 2:
        return np.zeros(config.channels, bool)
    beyond = squares_overflow(oracle, step)
    gamma = case.arrays.get("gamma", np.ones(config.channels)).astype(np.float64)
    return np.asarray(beyond & (gamma != 0.0) & finite_channels(case, step.inputs))


def not_beta(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The channel is not beta all over: some normalised value of a channel that is not constant has at least the size 1."""
    if exam.step(i).call == TRANSFORM:
        return normalised_or_not_finite(exam, i, channels)
    y, config = exam.result(i).outputs["y"], exam.built(i).config
    if y.shape != exam.case.arrays[exam.step(i).inputs[0]].shape:
        return None
    beta = exam.built(i).arrays.get("beta", np.zeros(config.channels)).astype(y.dtype).reshape(config.channel_shape)
    lost = np.asarray((y == beta).all(axis=config.reduce_axes)) & channels
    channel = first_index(lost)
    if channel is None:
        return KEPT
    numbers = None, beta.reshape(-1)[channel]
    message = f"y is beta all over channel {channel[0]}"
    return exam.broken(i, "differs", message, output="y", index=channel, numbers=numbers)


def normalised_or_not_finite(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A training set that is transformed is 0 all over nowhere, and nowhere further off than its m values allow, unless not finite.

    Of m values one lies at least 1 and none more than sqrt(m - 1) standard deviations from their mean; m leaves room for rounding.
    """
    fit, y, config = exam.fit_before(i), exam.result(i).outputs["y"].astype(np.float64), exam.case.config
    if fit is None or exam.step(fit).inputs != exam.step(i).inputs:
        return None
    largest = np.abs(y).max(axis=config.reduce_axes)  # NaN where some value is
    lost = channels & np.isfinite(largest) & ((largest == 0.0) | (largest > y.size // config.channels))
    channel = first_index(lost)
    if channel is None:
        return KEPT
    message = f"the largest y of feature {channel[0]} is {largest[channel]}"
    if largest[channel] == 0.0:
        return exam.broken(i, "differs", message, output="y", index=channel, numbers=(None, 0.0))
    of_feature = exam.spread(lost & (np.arange(config.channels) == channel[0]), y.shape, i)
    index = np.unravel_index(int(np.argmax(np.where(of_feature, np.abs(y), 0.0))), y.shape)
    numbers = (0.0, y[index], float(y.size // config.channels))
    return exam.broken(i, "bounded", message, output="y", index=index, numbers=numbers)


def nan_cotangents(oracle: Oracle, step: Step) -> Mask:
    """Channels whose x is finite, and whose cotangent holds a NaN."""
    case = oracle.case
    dy = case.arrays[step.inputs[1]].astype(np.float64)
    nan = np.isnan(dy).any(axis=case.config.reduce_axes)
    return np.asarray(nan & finite_channels(case, step.inputs[:1]))


def nan_in_gradients(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """dbeta and dgamma are NaN, and dx is where the cotangent is; in training it may be all over the channel."""
    result, dy = exam.result(i), exam.case.arrays[exam.step(i).inputs[1]].astype(np.float64)
    for name in ("dx", "dgamma", "dbeta"):
        got = result.outputs.get(name)
        if got is None or got.shape not in (dy.shape, channels.shape):
            continue
        asked = exam.spread(channels, got.shape, i)
        if got.shape == dy.shape:
            asked = asked & np.isnan(dy)
        hidden = asked & ~np.isnan(got.astype(np.float64))
        index = first_index(hidden)
        if index is not None:
            message = f"{name} is {got[index]} under a cotangent with NaN"
            return exam.broken(i, "not_finite", message, output=name, index=index, numbers=("nan", got[index]))
    return KEPT


def stays_poisoned(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Statistics that are NaN stay NaN under a training step."""
    before, after = exam.result(i).before, exam.result(i).after
    for name in ("running_mean", "running_var"):
        poisoned = np.isnan(before[name].astype(np.float64))
        if poisoned.any() and after[name].shape == before[name].shape:
            healed = poisoned & ~np.isnan(after[name].astype(np.float64))
            index = first_index(healed)
            if index is None:
                return KEPT
            got = after[name][index]
            message = f"{name}[{index[0]}] was NaN and is {got}"
            return exam.broken(i, "not_finite", message, output=name, index=index, numbers=("nan", got))
    return None


def negative_sum(oracle: Oracle, step: Step) -> Mask:
    """Channels whose running variance plus epsilon is below 0, with a gamma that is not 0 and finite inputs."""
    case, config = oracle.case, oracle.case.config
    total = case.arrays["running_var"].astype(np.float64) + config.epsilon
    gamma = case.arrays.get("gamma", np.ones(config.channels)).astype(np.float64)
    return np.asarray((total < 0.0) & (gamma != 0.0) & finite_channels(case, step.inputs)) & (count_of(case, step) > 0)


def negative_is_shown(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y is NaN all over the channels whose variance is negative, or the call raised."""
    if exam.result(i).status == "error":
        return KEPT
    return None if has_moved(exam, i, "running_var") else nan_is_shown(exam, i, channels)


def spoiled(oracle: Oracle, step: Step) -> Mask:
    """Channels of finite x whose gamma or beta is not finite; in inference, too, those of a mean that is not finite or a variance of
    NaN, with a gamma that is not 0. An infinite variance gives beta."""
    case, config = oracle.case, oracle.case.config
    arrays = {n: a.astype(np.float64) for n, a in case.arrays.items() if n in PARAMETERS}
    one = np.ones(config.channels)
    gamma, beta = arrays.get("gamma", one), arrays.get("beta", one)
    found = ~np.isfinite(gamma) | ~np.isfinite(beta)
    if step.call.mode == "inference":
        found |= (~np.isfinite(arrays["running_mean"]) | np.isnan(arrays["running_var"])) & (gamma != 0.0)
    return np.asarray(found & finite_channels(case, step.inputs[:1])) & (count_of(case, step) > 1)


def is_not_finite(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y is NaN or infinite all over these channels. Which of them, and the sign, depends on the order of the operations."""
    if exam.frozen(i):
        return None
    if exam.step(i).call.mode == "inference" and has_moved(exam, i, "running_mean", "running_var"):
        return None
    y = exam.result(i).outputs["y"]
    if y.shape != exam.case.arrays[exam.step(i).inputs[0]].shape:
        return None
    index = first_index(exam.spread(channels, y.shape, i) & np.isfinite(y.astype(np.float64)))
    if index is None:
        return KEPT
    message = f"y is {y[index]} in a channel of which a parameter or statistic is not finite"
    return exam.broken(i, "not_finite", message, output="y", index=index, numbers=("not finite", y[index]))


CHECKS = (
    within("special.channels_are_isolated", CALLS, ALL, poisoned),
    Check("special.nan_is_not_hidden", STEPS, nan_is_shown, nan_channels),
    Check("special.infinity_is_not_hidden", TRAINING_CALLS, nan_is_shown, infinite_channels),
    Check("special.nan_reaches_running_statistics", STEPS, nan_reaches_state, nan_channels),
    Check("special.inference_keeps_special_values", INFERENCE_CALLS, passes_special_values, plain_scales),
    Check("special.overflow_is_not_finite", (*TRAINING_CALLS, TRANSFORM), not_beta, overflowing),
    Check("special.poisoned_state", TRAINING_CALLS, stays_poisoned, everywhere),
    Check("special.negative_variance_is_shown", INFERENCE_CALLS, negative_is_shown, negative_sum, reads_errors=True),
    Check(
        "special.cotangent_nan_is_not_hidden",
        (TRAINING_GRADIENTS, INFERENCE_GRADIENTS),
        nan_in_gradients,
        nan_cotangents,
    ),
    Check("special.parameters_are_not_hidden", CALLS, is_not_finite, spoiled),
)
