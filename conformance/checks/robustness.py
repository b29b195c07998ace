"""Checks of the families layout, dtype, degenerate and special: the paths on which kernels differ."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from bnspec.conformance.checks.check import (
    INFERENCE_CALLS,
    TRAINING_CALLS,
    Check,
    count_of,
    everywhere,
    keeps_nothing,
    only_if,
    squares_overflow,
    within,
)
from bnspec.conformance.checks.examination import Examination, Mask, finite_channels, first_index
from bnspec.conformance.checks.forward import ordinary_size
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.checks.state import keeps_state
from bnspec.model.buffers import dtype_of, extent, root_of
from bnspec.model.call import (
    INFERENCE_GRADIENTS,
    INVERSE,
    TRAINING_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRANSFORM,
)
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES
from bnspec.model.precision import PRECISIONS
from bnspec.oracle.oracle import Oracle

ALL = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var")
CALLS = (*TRAINING_CALLS, *INFERENCE_CALLS)
#: The calls whose results are asked to be as exact as declared: those of a layer and of a scaler.
OF_HALF = (*CALLS, TRANSFORM, INVERSE)
COMPUTED = "computed, but the conventions declare that it raises"


def has_view(case: Case, step: Step) -> bool:
    """Whether an input of the step is not packed, or lies behind another array in one buffer; a part of x does not count as such."""
    return any(
        not case.arrays[n].flags.c_contiguous or ("[" not in n and lies_behind(case, case.arrays[n]))
        for n in step.inputs
    )


def lies_behind(case: Case, array: np.ndarray) -> bool:
    """Whether another array of the case begins before this one in the same buffer."""
    root, start = root_of(array), extent(array)[0]
    return array.size > 0 and any(extent(a)[0] < start for a in case.arrays.values() if root_of(a) is root)


def has_unusual_axis(case: Case, step: Step) -> bool:
    """Whether the rank is at least 3 with distinct extents, extents coincide, or the channel axis is not 1."""
    shape = case.arrays[step.inputs[0]].shape
    return (
        has_coincident_extents(case, step)
        or case.config.channel_axis != 1
        or (len(shape) >= 3 and len(set(shape)) == len(shape))
    )


def is_half(case: Case, step: Step) -> bool:
    """Whether x is float16 or bfloat16."""
    return case.config.dtype in HALVES


def near_block(case: Case, step: Step) -> bool:
    """Whether an extent, the positions of a plane or the count lies from one below a power of two of at least 32 to a quarter above."""
    shape = case.arrays[step.inputs[0]].shape
    axes = case.config.reduce_axes
    positions = math.prod(shape[a] for a in axes[1:])
    numbers = (*shape, positions, count_of(case, step))
    return any(2**k - 1 <= n <= 2**k + 2 ** (k - 2) for n in numbers for k in range(5, 20))


def has_coincident_extents(case: Case, step: Step) -> bool:
    """Whether two extents above 1 are equal."""
    extents = [n for n in case.arrays[step.inputs[0]].shape if n > 1]
    return len(set(extents)) < len(extents)


def poisoned(oracle: Oracle, step: Step) -> Mask:
    """The finite channels of a step in which some channel is not finite; none where all are."""
    finite = finite_channels(oracle.case, step.inputs)
    return finite if not finite.all() else np.zeros_like(finite)


def infinite_channels(oracle: Oracle, step: Step) -> Mask:
    """Channels of x that hold an infinity."""
    case = oracle.case
    return np.asarray(np.isinf(case.arrays[step.inputs[0]].astype(np.float64)).any(axis=case.config.reduce_axes))


def nan_channels(oracle: Oracle, step: Step) -> Mask:
    """Channels of x that hold a NaN."""
    case = oracle.case
    return np.asarray(np.isnan(case.arrays[step.inputs[0]].astype(np.float64)).any(axis=case.config.reduce_axes))


def nan_is_shown(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y is NaN all over the channels that hold a NaN or an infinity."""
    if exam.frozen(i):
        return None
    y = exam.result(i).outputs["y"]
    if y.shape != exam.case.arrays[exam.step(i).inputs[0]].shape:
        return None
    hidden = exam.spread(channels, y.shape, i) & ~np.isnan(y.astype(np.float64))
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
    before, built = exam.result(i).before, exam.built(i).arrays
    if any(before[n].tobytes() != built[n].tobytes() for n in ("running_mean", "running_var")):
        return None  # a training step came between
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


def keeps_dtypes(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Results have the declared dtypes."""
    config, result = exam.built(i).config, exam.result(i)
    data = config.dtype
    if exam.conventions.output_dtype == "promoted" and data in HALVES:
        data = config.parameter_dtype
    wanted = {"y": data, "dx": config.dtype, "dgamma": config.parameter_dtype, "dbeta": config.parameter_dtype}
    for name, array in (*result.outputs.items(), *result.after.items()):
        expected = wanted.get(name) or result.before[name].dtype.name
        if array.dtype.name != expected:
            message = f"{name} is {array.dtype.name}"
            return exam.broken(i, "dtype", message, output=name, numbers=(expected, array.dtype.name))
    return KEPT


def count_one(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A batch of one value per channel: the declared policy, and finite statistics."""
    result, policy = exam.result(i), exam.conventions.count_one
    if result.status == "error":
        if policy != "biased":
            return KEPT
        message = f"raised, but the conventions declare {policy!r}: {result.message}"
        return exam.broken(i, "returns", message, exception=result.message)
    if policy == "raises":
        return exam.broken(i, "raises", COMPUTED)
    return _finite_state(exam, i, channels)


def has_nothing(case: Case, step: Step) -> bool:
    """Whether the batch has no values, or a mask keeps none."""
    return count_of(case, step) == 0 or keeps_nothing(case, step)


def empty_batch(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """An empty batch does what the conventions declares; where that is nothing, it raises or leaves finite statistics."""
    declared, raised = exam.conventions.empty_batch, exam.result(i).status == "error"
    if declared == "keeps_state" and not raised and not exam.frozen(i):
        return keeps_state(exam, i, channels)
    if raised or declared != "raises" or exam.frozen(i):
        return KEPT if raised else _finite_state(exam, i, channels)
    return exam.broken(i, "raises", COMPUTED)


def _finite_state(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    before, after = exam.result(i).before, exam.result(i).after
    for name, array in after.items():
        bad = ~np.isfinite(array.astype(np.float64))
        if array.shape == channels.shape:
            bad &= channels & np.isfinite(before[name].astype(np.float64))
        if bad.any():
            index = first_index(bad)
            numbers = None, array[index]
            return exam.broken(i, "finite", f"{name} became {array[index]}", output=name, index=index, numbers=numbers)
    return KEPT


def one_value(oracle: Oracle, step: Step) -> Mask:
    """The finite channels of a batch with one value per channel."""
    asked = count_of(oracle.case, step) == 1
    return finite_channels(oracle.case, step.inputs) & asked


def has_no_variance(exam: Examination, i: int) -> str:
    """Why y, dx and dgamma of one value per channel do not exist."""
    if exam.conventions.normalising_correction and not exam.frozen(i):
        return "with normalising_correction 1 the variance of one value per channel is 0/0"
    return ""


def constant_in_batch(oracle: Oracle, step: Step) -> Mask:
    """Channels with one finite value, more than once, in x."""
    case = oracle.case
    x = case.arrays[step.inputs[0]].astype(np.float64)
    if count_of(case, step) < 2 or not x.size or case.config.epsilon <= 0.0:
        return np.zeros(case.config.channels, bool)
    with np.errstate(invalid="ignore"):
        return np.asarray((np.ptp(x, axis=case.config.reduce_axes) == 0.0) & finite_channels(case, step.inputs))


def constant_is_finite(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """y is beta within its bound; dx and dgamma are within theirs and, where values are ordinary, finite: bounds may not be."""
    found = exam.within(i, ("y", "dx", "dgamma"), "lenient", None if channels.all() else channels)
    if found is not None and not found.holds:
        return found
    ordinary = channels & ordinary_size(exam.oracle_at(i), exam.step(i))
    for name in ("dx", "dgamma"):
        got = exam.got(i, name)
        if got is None or got.shape not in (exam.case.arrays[exam.step(i).inputs[0]].shape, channels.shape):
            continue
        expected = exam.expected(i).get(name)
        if expected is None:
            continue
        bad = exam.spread(ordinary, got.shape, i) & ~np.isfinite(got.astype(np.float64)) & np.isfinite(expected.rounded)
        if bad.any():
            index = first_index(bad)
            message = f"{name} is {got[index]} of a constant channel"
            numbers = expected.rounded[index], got[index]
            return exam.broken(i, "finite", message, output=name, index=index, numbers=numbers)
    return found


def nothing_of_nothing(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The gradients of an empty batch: dgamma and dbeta are 0."""
    for name in ("dgamma", "dbeta"):
        got = exam.got(i, name)
        index = None if got is None else first_index(got.astype(np.float64) != 0.0)
        if got is not None and index is not None:
            numbers = 0.0, got[index]
            return exam.broken(i, "zero", f"{name} is {got[index]}", output=name, index=index, numbers=numbers)
    return KEPT


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
    before = exam.result(i).before["running_var"]
    if before.tobytes() != exam.built(i).arrays["running_var"].tobytes():
        return None  # a training step came between
    return nan_is_shown(exam, i, channels)


def beyond_half(oracle: Oracle, step: Step) -> Mask:
    """Channels whose float32 running variance is infinite or 0 in x's half precision."""
    case = oracle.case
    if case.config.dtype not in HALVES or case.config.parameter_dtype == case.config.dtype:
        return np.zeros(case.config.channels, bool)
    with np.errstate(over="ignore"):
        var = case.arrays["running_var"].astype(np.float64)
        narrow = case.arrays["running_var"].astype(dtype_of(case.config.dtype)).astype(np.float64)
    return np.asarray((var > 0.0) & (np.isinf(narrow) | (narrow == 0.0)))


CHECKS = (
    within("layout.strides", CALLS, ALL, only_if(has_view)),
    within("layout.axis", CALLS, ALL, only_if(has_unusual_axis)),
    within("layout.extents", CALLS, ALL, only_if(near_block)),
    within("dtype.half_is_as_exact_as_declared", OF_HALF, (*ALL, "x"), only_if(is_half), tier="permissive"),
    Check("dtype.results", CALLS, keeps_dtypes, everywhere),
    Check("degenerate.count_one", TRAINING_CALLS, count_one, one_value, reads_errors=True),
    Check(
        "degenerate.empty_batch",
        (*TRAINING_CALLS, TRAINING_MASKED, TRAINING_MASKED_GRADIENTS),
        empty_batch,
        only_if(has_nothing),
        reads_errors=True,
    ),
    within("special.channels_are_isolated", CALLS, ALL, poisoned),
    Check("special.nan_is_not_hidden", TRAINING_CALLS, nan_is_shown, nan_channels),
    Check("special.infinity_is_not_hidden", TRAINING_CALLS, nan_is_shown, infinite_channels),
    Check("special.nan_reaches_running_statistics", TRAINING_CALLS, nan_reaches_state, nan_channels),
    Check("special.inference_keeps_special_values", INFERENCE_CALLS, passes_special_values, plain_scales),
    Check("degenerate.constant_channel", TRAINING_CALLS, constant_is_finite, constant_in_batch),
    dataclasses.replace(
        within("degenerate.gradients_of_count_one", (TRAINING_GRADIENTS,), ("y", "dx", "dgamma"), one_value),
        declines=has_no_variance,
    ),
    Check(
        "degenerate.gradients_of_empty_batch",
        (TRAINING_GRADIENTS, INFERENCE_GRADIENTS),
        nothing_of_nothing,
        only_if(lambda case, step: count_of(case, step) == 0),
    ),
    Check(
        "special.cotangent_nan_is_not_hidden",
        (TRAINING_GRADIENTS, INFERENCE_GRADIENTS),
        nan_in_gradients,
        nan_cotangents,
    ),
    Check("special.overflow_is_not_finite", TRAINING_CALLS, not_beta, overflowing),
    Check("special.poisoned_state", TRAINING_CALLS, stays_poisoned, everywhere),
    Check("special.negative_variance_is_shown", INFERENCE_CALLS, negative_is_shown, negative_sum, reads_errors=True),
    within("dtype.parameters_are_not_narrowed", INFERENCE_CALLS, ("y",), beyond_half, tier="permissive"),
)
