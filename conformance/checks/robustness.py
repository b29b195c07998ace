"""Checks of the families layout, dtype and degenerate: the paths on which kernels differ."""

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
    within,
)
from bnspec.conformance.checks.examination import Examination, Mask, finite_channels, first_index
from bnspec.conformance.checks.forward import ordinary_size
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.checks.state import keeps_state
from bnspec.model.buffers import dtype_of, extent, root_of
from bnspec.model.call import (
    INFERENCE_GRADIENTS,
    INFERENCE_SOME_GRADIENTS,
    INVERSE,
    TRAINING_GRADIENTS,
    TRAINING_MASKED,
    TRAINING_MASKED_GRADIENTS,
    TRAINING_SOME_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRANSFORM,
)
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES
from bnspec.oracle.oracle import Oracle

ALL = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var")
CALLS = (*TRAINING_CALLS, *INFERENCE_CALLS)
#: The calls whose results are asked to be as exact as declared: passes of a layer, however they are asked for, and of a scaler.
OF_HALF = (
    *CALLS,
    TRAINING_SOME_GRADIENTS,
    INFERENCE_SOME_GRADIENTS,
    TRAINING_STATE_GRADIENTS,
    TRAINING_MASKED,
    TRANSFORM,
    INVERSE,
)
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
    """Whether x is float16 or bfloat16; with a mask, where its padding is finite: a product with the mask keeps what is not."""
    if case.config.dtype not in HALVES:
        return False
    return not step.call.has_mask or bool(np.isfinite(case.arrays[step.inputs[0]].astype(np.float64)).all())


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
            message = f"{name} is {array.dtype.name}, expected {expected}"
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
    """An empty batch does what the conventions declare; where that is nothing, it raises or leaves finite statistics.

    That it raises is declared of arrays without elements: a mask that keeps nothing is found by its values, if at all.
    """
    declared, raised = exam.conventions.empty_batch, exam.result(i).status == "error"
    if declared == "keeps_state" and not raised and not exam.frozen(i):
        return keeps_state(exam, i, channels)
    if raised or declared != "raises" or exam.frozen(i) or exam.step(i).call.has_mask:
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
    within("dtype.parameters_are_not_narrowed", INFERENCE_CALLS, ("y",), beyond_half, tier="permissive"),
)
