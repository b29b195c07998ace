"""Predicates over cases: on which inputs a known deviation happens. Each as narrow as the facts allow."""

from __future__ import annotations

import numpy as np

from bnspec.backends.harness.known.deviation import Predicate
from bnspec.model.call import Call
from bnspec.model.case import PARAMETERS, Case
from bnspec.model.conventions import HALVES


def is_half(case: Case) -> bool:
    """x is in half precision."""
    return case.config.dtype in HALVES


def all_half(case: Case) -> bool:
    """x, the parameters and the running statistics are in the same half precision."""
    return is_half(case) and case.config.parameter_dtype == case.config.dtype


def mixes_precisions(case: Case) -> bool:
    """Whether x is of half precision, and its parameters are not."""
    return is_half(case) and not all_half(case)


def half_not_packed(case: Case) -> bool:
    """x is in half precision, and some array is a view."""
    return is_half(case) and any(not a.flags.c_contiguous for a in case.arrays.values())


def is_view(case: Case) -> bool:
    """x is a view with strides of its own."""
    return not case.arrays["x"].flags.c_contiguous


def is_float64(case: Case) -> bool:
    """x is in double precision."""
    return case.config.dtype == "float64"


def calls(*calls: Call) -> Predicate:
    """A predicate: some step makes one of these calls."""
    return lambda case: any(s.call in calls for s in case.steps)


def decay_is_1_in_bfloat16(case: Case) -> bool:
    """x is of bfloat16, which rounds the decay to 1."""
    return case.config.dtype == "bfloat16" and case.config.decay > 1.0 - 2.0**-9


def trains_on_nothing(case: Case) -> bool:
    """A layer is trained on a batch without values."""
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.call.mode == "training" and not s.refused]
    return case.subject == "batch_norm" and any(x.size == 0 for x in batches)


def trains_on_one_value(case: Case) -> bool:
    """A layer is trained on a batch with one value per channel."""
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.call.mode == "training" and not s.refused]
    return case.subject == "batch_norm" and any(x.size == case.config.channels for x in batches)


def infers_nothing(case: Case) -> bool:
    """An inference of a batch without values."""
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.call.mode == "inference" and not s.refused]
    return case.subject == "batch_norm" and any(x.size == 0 for x in batches)


def has_strided_parameters(case: Case) -> bool:
    """gamma or beta is not packed, in some layer of the case."""
    given = [n for n in case.arrays if n.partition("|")[0] in ("gamma", "beta")]
    return any(not case.arrays[n].flags.c_contiguous for n in given)


def differentiates_inference_of_nothing(case: Case) -> bool:
    """Some backward pass in inference of a batch without values."""
    passes = [s for s in case.steps if s.call.mode == "inference" and s.call.has_gradients and not s.refused]
    return case.subject == "batch_norm" and any(case.arrays[s.inputs[0]].size == 0 for s in passes)


def refuses(case: Case) -> bool:
    """Some call is malformed."""
    return any(s.refused for s in case.steps)


def trains_with_gradients(case: Case) -> bool:
    """Some backward pass in training mode."""
    return any(s.call.mode == "training" and ("gradient" in s.call.name or "order" in s.call.name) for s in case.steps)


def trains_after_raising(case: Case) -> bool:
    """A layer is trained further after a call in training mode that is malformed, or has one value per channel."""
    raised = False
    for step in case.steps:
        if step.fresh:
            raised = False
        if step.call.mode != "training" or not step.inputs:
            continue
        if raised and not step.refused:
            return True
        raised = raised or step.refused or case.arrays[step.inputs[0]].size == case.config.channels
    return False


def has_other_channels_of_nothing(case: Case) -> bool:
    """An x without values has another number of channels than the layer."""
    axis, channels = case.config.channel_axis, case.config.channels
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.refused]
    return any(not x.size and x.ndim > axis and x.shape[axis] != channels for x in batches)


def has_one_channel_for_all(case: Case) -> bool:
    """A malformed x has one channel, and the layer several."""
    axis = case.config.channel_axis
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.refused]
    return case.config.channels > 1 and any(x.ndim > axis and x.shape[axis] == 1 for x in batches)


def has_one_channel_on_a_side(case: Case) -> bool:
    """A malformed x has one channel, and the layer several; or the layer has one."""
    return has_one_channel_for_all(case) or (case.config.channels == 1 and refuses(case))


def has_misshapen(*names: str, values: bool = False) -> Predicate:
    """A predicate: one of these parameters is not of shape (C,); ``values``: and yet has C values."""

    def holds(case: Case) -> bool:
        channels = case.config.channels
        given = [case.arrays[a] for s in case.steps if s.refused for n, a in s.options if n in names]
        return any(a.shape != (channels,) and (a.size == channels or not values) for a in given)

    return holds


def has_empty_chunk(case: Case) -> bool:
    """A batch of the training set has no rows."""
    return case.subject == "input_norm" and any(a.size == 0 for a in case.arrays.values())


def many_large_values(case: Case, innermost: bool = False) -> bool:
    """A float32 batch or training set of at least 1,000 values a channel, with count |mean| > 1e8 std in some channel.

    Added one by one in float32, such values lose their spread: the sum is rounded to multiples of several values' spread.
    ``innermost``: and whose channels are innermost in memory.
    """
    read = [s.inputs for s in case.steps if (s.call.mode == "training" or s.call.kind == "fit") and not s.refused]
    for name in {inputs[0] for inputs in read if inputs}:
        x, axes = case.arrays[name], case.config.reduce_axes
        if x.dtype != np.float32 or x.ndim != case.config.rank or x.size < 1000 * case.config.channels:
            continue
        if innermost and x.strides[case.config.channel_axis] != x.itemsize:
            continue
        wide = x.astype(np.float64)
        with np.errstate(all="ignore"):
            reach = x.size / case.config.channels * np.abs(np.mean(wide, axis=axes))
            if (reach > 1e8 * np.std(wide, axis=axes)).any():
                return True
    return False


def rows_of_large_means(case: Case) -> bool:
    """``many_large_values``, with the channels innermost in memory."""
    return many_large_values(case, innermost=True)


def off_centre(case: Case) -> bool:
    """Some channel of a batch has |mean| > 8 std, or is constant, where E[x^2] - E[x]^2 loses digits."""
    batches = {s.inputs[0] for s in case.steps if s.inputs and s.call.kind != "fit" and not s.refused}
    for name in batches:
        x = case.arrays[name].astype(np.float64)
        if x.size and x.ndim == case.config.rank:
            with np.errstate(all="ignore"):
                mean, std = (f(x, axis=case.config.reduce_axes) for f in (np.mean, np.std))
                if bool((np.abs(mean) > 8.0 * std).any()):
                    return True
    return False


def tiny_spread(case: Case) -> bool:
    """A feature's standard deviation is below 1e-6."""
    x = case.arrays["x"].astype(np.float64)
    return case.subject == "input_norm" and bool((np.std(x, axis=case.config.reduce_axes) < 1e-6).any())


def square_overflows(case: Case) -> bool:
    """Some value of a float16 batch has a square beyond float16's range."""
    if case.config.dtype != "float16":
        return False
    batches = [case.arrays[s.inputs[0]] for s in case.steps if s.inputs]
    return any(bool((np.abs(x.astype(np.float64)) > 255.9).any()) for x in batches)


def sum_overflows(case: Case) -> bool:
    """Some feature of a float16 batch has values whose sum is beyond float16's range."""
    if case.config.dtype != "float16":
        return False
    batches = [case.arrays[s.inputs[0]].astype(np.float64) for s in case.steps if s.inputs]
    sums = [np.abs(x.sum(axis=case.config.reduce_axes)) for x in batches if x.ndim == case.config.rank]
    return any(bool((s > np.finfo(np.float16).max).any()) for s in sums)


def one_value(case: Case) -> bool:
    """Some gradient is asked for a batch with one value per channel, where dbeta is dy."""
    return any(n.startswith("dy") and a.size == case.config.channels for n, a in case.arrays.items())


def constant_in_chunks(case: Case) -> bool:
    """A feature is constant in a training set of several chunks."""
    x = case.arrays["x"].astype(np.float64)
    several = any(s.call.kind == "fit" and len(s.inputs) > 1 for s in case.steps)
    return case.subject == "input_norm" and several and bool((np.ptp(x, axis=case.config.reduce_axes) == 0.0).any())


def takes_mask(case: Case) -> bool:
    """Some step takes a mask."""
    return any(s.call.has_mask for s in case.steps)


def masks_everything(case: Case) -> bool:
    """A mask keeps nothing."""
    return any(s.call.has_mask and not case.arrays[s.inputs[-1]].any() for s in case.steps)


def takes_integers(case: Case) -> bool:
    """Some x has an integer dtype."""
    return any(s.takes_integers for s in case.steps)


def steps_before_backward(case: Case) -> bool:
    """A layer takes a step between a forward pass and its backward pass."""
    return any(s.call.kind == "late_gradients" for s in case.steps)


def differentiates_state(case: Case) -> bool:
    """A loss reads the running statistics after the step."""
    return any(s.call.kind == "state_gradients" for s in case.steps)


def has_missing(case: Case) -> bool:
    """A training set has missing values."""
    return any(s.has_missing for s in case.steps)


def transforms_unfitted(case: Case) -> bool:
    """A transform before any fit."""
    return any(s.refused and s.call.kind == "transform" for s in case.steps)


def has_constant_feature(case: Case) -> bool:
    """Some feature of the training set is constant."""
    x, axes = case.arrays.get("x"), case.config.reduce_axes
    return (
        scales(case) and x is not None and x.size > 0 and bool((np.ptp(x.astype(np.float64), axis=axes) == 0.0).any())
    )


def squares_of_fit_overflow(case: Case) -> bool:
    """The squares of some deviation of a training set leave the range of float64, in which statistics are."""
    sets = [case.arrays[n] for s in case.steps if s.call.kind == "fit" for n in s.inputs]
    return scales(case) and any(x.size and float(np.ptp(x.astype(np.float64))) > 1e154 for x in sets)


def scales(case: Case) -> bool:
    """Input normalization is asked."""
    return case.subject == "input_norm"


def scales_half(case: Case) -> bool:
    """Input normalization of half-precision x."""
    return case.subject == "input_norm" and is_half(case)


def masks_one_channel(case: Case) -> bool:
    """A batch with a mask has a single channel."""
    return takes_mask(case) and case.config.channels == 1


def has_padding(case: Case) -> bool:
    """Some step takes a mask, and its x has values that are not finite in the padding."""
    for step in case.steps:
        if step.call.has_mask:
            x, mask = (case.arrays[n] for n in (step.inputs[0], step.inputs[-1]))
            if bool((~np.isfinite(x.astype(np.float64)) & ~mask.astype(bool)).any()):
                return True
    return False


def channels_innermost_strided_parameters(case: Case) -> bool:
    """Gradients of x and dy whose channels lie innermost in memory, while a parameter or a statistic is a view.

    A matrix, and an image of one pixel, are such x, whatever they are called; so is one that is packed for having negative
    strides. Parameters have x's dtype.
    """
    config = case.config
    if config.dtype != config.parameter_dtype or is_half(case):
        return False
    if all(case.arrays[n].flags.c_contiguous for n in PARAMETERS if n in case.arrays):
        return False
    for i, step in enumerate(case.steps):
        if len(step.inputs) > 1 and not step.refused and step.call.kind != "tangent":
            axis = dict(case.overrides(i)).get("channel_axis", config.channel_axis)
            if all(_channels_innermost(case.arrays[n], axis) for n in step.inputs[:2]):
                return True
    return False


def _channels_innermost(a: np.ndarray, channel_axis: int) -> bool:
    if any(stride < 0 for stride in a.strides):
        a = np.ascontiguousarray(a)
    return bool(np.moveaxis(a, channel_axis, -1).flags.c_contiguous)


def half_cotangent_overflows(case: Case) -> bool:
    """Everything is float16, x or dy is a view, and dy by sqrt(epsilon) is beyond float16's range."""
    if not all_half(case) or case.config.dtype != "float16":
        return False
    for step in case.steps:
        if step.call.has_gradients and not step.refused:
            x, dy = (case.arrays[n] for n in step.inputs[:2])
            with np.errstate(all="ignore"):
                beyond = np.abs(dy.astype(np.float64)).max(initial=0.0) / np.sqrt(case.config.epsilon) > 65504.0
            if beyond and not (x.flags.c_contiguous and dy.flags.c_contiguous):
                return True
    return False


def tangent_of_overlapping(case: Case) -> bool:
    """Forward mode at an x of which several elements are the same memory."""
    x = [case.arrays[s.inputs[0]] for s in case.steps if s.call.kind == "tangent"]
    return any(stride == 0 and n > 1 for a in x for stride, n in zip(a.strides, a.shape, strict=True))
