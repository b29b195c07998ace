"""Checks of the families layout, dtype, degenerate and special: the paths on which kernels differ."""

from __future__ import annotations

import numpy as np

from bnspec.case import Case, Step
from bnspec.conformance.checks.check import INFERENCE, TRAINING, Check, count_of, everywhere, only_if, within
from bnspec.conformance.checks.examination import Examination, Judgement, Mask, finite_channels, law
from bnspec.oracle import Oracle
from bnspec.profiles import HALVES

ALL = ("y", "dx", "dgamma", "dbeta", "running_mean", "running_var")
CALLS = (*TRAINING, *INFERENCE)


def has_view(case: Case, step: Step) -> bool:
    """Whether an input of the step is not packed."""
    return any(not case.arrays[n].flags.c_contiguous for n in step.inputs)


def has_unusual_axis(case: Case, step: Step) -> bool:
    """Whether the rank is at least 3 with distinct extents, or the channel axis is not 1."""
    shape = case.arrays[step.inputs[0]].shape
    return case.config.channel_axis != 1 or (len(shape) >= 3 and len(set(shape)) == len(shape))


def is_half(case: Case, step: Step) -> bool:
    """Whether x is float16 or bfloat16."""
    return case.config.dtype in HALVES


def near_block(case: Case, step: Step) -> bool:
    """Whether the count or the number of channels is within 1 of a power of two of at least 32."""
    numbers = (case.config.channels, count_of(case, step))
    return any(abs(n - 2**k) <= 1 for n in numbers for k in range(5, 20))


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
    y = exam.result(i).outputs["y"]
    if y.shape != exam.case.arrays[exam.step(i).inputs[0]].shape:
        return None
    hidden = exam.spread(channels, y.shape) & ~np.isnan(y.astype(np.float64))
    if not hidden.any():
        return law(True, "", {})
    index = tuple(int(k[0]) for k in np.nonzero(hidden))
    evidence = {"step": i, "call": exam.step(i).call, "output": "y", "index": list(index), "expected": "nan"}
    return law(False, f"y is {y[index]} in a channel that is not finite", {**evidence, "got": repr(float(y[index]))})


def keeps_dtypes(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """Results have the declared dtypes."""
    config, result = exam.case.config, exam.result(i)
    data = config.dtype
    if exam.profile.output_dtype == "promoted" and data in HALVES:
        data = config.parameter_dtype
    wanted = {"y": data, "dx": config.dtype, "dgamma": config.parameter_dtype, "dbeta": config.parameter_dtype}
    for name, array in (*result.outputs.items(), *result.after.items()):
        expected = wanted.get(name) or result.before[name].dtype.name
        if array.dtype.name != expected:
            evidence = {
                "step": i,
                "call": exam.step(i).call,
                "output": name,
                "expected": expected,
                "got": array.dtype.name,
            }
            return law(False, f"{name} is {array.dtype.name}", evidence)
    return law(True, "", {})


def count_one(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """A batch of one value per channel: the declared policy, and finite statistics."""
    result, policy = exam.result(i), exam.profile.count_one
    evidence = {"step": i, "call": exam.step(i).call}
    if result.status == "error":
        return law(policy != "biased", f"raised, but the profile declares {policy!r}: {result.message}", evidence)
    if policy == "raises":
        return law(False, "computed, but the profile declares that it raises", evidence)
    return _finite_state(exam, i, channels)


def empty_batch(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """An empty batch raises or leaves finite statistics."""
    if exam.result(i).status == "error":
        return law(True, "", {})
    return _finite_state(exam, i, channels)


def _finite_state(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    before, after = exam.result(i).before, exam.result(i).after
    for name, array in after.items():
        bad = ~np.isfinite(array.astype(np.float64))
        if array.shape == channels.shape:
            bad &= channels & np.isfinite(before[name].astype(np.float64))
        if bad.any():
            k = int(np.nonzero(bad)[0][0])
            evidence = {
                "step": i,
                "call": exam.step(i).call,
                "output": name,
                "index": [k],
                "got": repr(float(array[k])),
            }
            return law(False, f"{name} became {array[k]}", evidence)
    return law(True, "", {})


def one_value(oracle: Oracle, step: Step) -> Mask:
    """The finite channels of a batch with one value per channel."""
    asked = count_of(oracle.case, step) == 1
    return finite_channels(oracle.case, step.inputs) & asked


CHECKS = (
    within("layout.strides", CALLS, ALL, only_if(has_view)),
    within("layout.axis", CALLS, ALL, only_if(has_unusual_axis)),
    within("layout.extents", CALLS, ALL, only_if(near_block)),
    within("dtype.half_is_as_exact_as_declared", CALLS, ALL, only_if(is_half), tier="permissive"),
    Check("dtype.results", CALLS, keeps_dtypes, everywhere),
    Check("degenerate.count_one", TRAINING, count_one, one_value, reads_errors=True),
    Check(
        "degenerate.empty_batch",
        TRAINING,
        empty_batch,
        only_if(lambda case, step: count_of(case, step) == 0),
        reads_errors=True,
    ),
    within("special.channels_are_isolated", CALLS, ALL, poisoned),
    Check("special.nan_is_not_hidden", TRAINING, nan_is_shown, nan_channels),
    Check("special.infinity_is_not_hidden", TRAINING, nan_is_shown, infinite_channels),
)
