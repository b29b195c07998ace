"""A layer's results against its own: whether a feature of the case changes what it gives, whatever is right.

A layer that is wrong everywhere breaks the clauses of every feature, too. They speak of the feature only if the layer's results
with it differ from its own results without it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bnspec.conformance.causes.arrays import with_arrays
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.parameters import with_other_epsilon
from bnspec.model.case import Case
from bnspec.model.observation import Observation

#: Features that change no result of a correct layer but in its roundings.
INVARIANT = LAYOUTS | {"layout of the parameters", "dtype", "threads", "rank"}
#: Relative to the largest value of a channel: differences from here on are no roundings. In float16 and bfloat16; else.
CLEAR_IN_HALVES, CLEAR = 2.0**-4, 2.0**-10
Observe = Callable[[Case], Observation]


def differ(case: Case, ordinary: Case, step: int, output: str, observe: Observe) -> bool:
    """Whether an output of a call differs between two cases of equal values.

    Only channels count in which all values are finite, and an array in which most are zero says nothing.
    """
    results = [_result(c, step, output, observe) for c in (case, ordinary)]
    if results[0] is None or results[1] is None or results[0].shape != results[1].shape:
        return False
    a, b = results[0], results[1]
    with np.errstate(all="ignore"):
        limit = CLEAR_IN_HALVES if {"float16", "bfloat16"} & {case.config.dtype, case.config.parameter_dtype} else CLEAR
        finite = np.isfinite(a).all(0) & np.isfinite(b).all(0)
        size = np.maximum(np.abs(a).max(0, initial=0.0), np.abs(b).max(0, initial=0.0))
        return bool((finite & (np.abs(a - b).max(0, initial=0.0) > limit * size)).any())


def scales_by_gamma(case: Case, step: int, observe: Observe) -> bool:
    """Whether y follows from the layer's own y with gamma 1 and beta 0: y = gamma * own y + beta.

    True also where that cannot be said.
    """
    names = ("gamma", "beta")
    if not all(n in case.arrays for n in names) or case.config.dtype not in ("float32", "float64"):
        return True
    like = case.arrays["gamma"]
    gamma = np.resize([0.5, -0.25, 0.75], like.shape).astype(like.dtype)
    beta = np.resize([0.25, -0.5], like.shape).astype(like.dtype)
    plain = with_arrays(case, {"gamma": np.ones_like(like), "beta": np.zeros_like(like)})
    other = with_arrays(case, {"gamma": gamma, "beta": beta})
    if plain is None or other is None:
        return True
    own, got = (_result(c, step, "y", observe) for c in (plain, other))
    if own is None or got is None or own.shape != got.shape or not (np.isfinite(own).all() and np.isfinite(got).all()):
        return True
    expected = own * gamma.astype(np.float64) + beta.astype(np.float64)
    size = np.abs(expected).max(0, initial=0.0) + np.abs(beta.astype(np.float64))
    return bool((np.abs(got - expected).max(0, initial=0.0) <= CLEAR * size).all())


def heeds_epsilon(case: Case, step: int, observe: Observe) -> bool:
    """Whether y depends on epsilon where it is as large as the variance; true also where that cannot be said."""
    cases = [with_other_epsilon(case, e) for e in (1.0, 16.0)]
    if cases[0] is None or cases[1] is None or any(_result(c, step, "y", observe) is None for c in cases if c):
        return True
    return differ(cases[0], cases[1], step, "y", observe)


def _result(case: Case, step: int, output: str, observe: Observe) -> np.ndarray | None:
    """An output or a statistic of a call as rows of one value per channel; None where there is none."""
    observation = observe(case)
    if observation.status in ("crashed", "timeout") or step >= len(observation.steps):
        return None
    result = observation.steps[step]
    array = result.outputs.get(output, result.after.get(output))
    if result.status != "ok" or array is None or not array.size:
        return None
    wide = np.asarray(array, np.float64)
    if wide.ndim == case.config.rank and wide.ndim > 1:
        wide = np.moveaxis(wide, case.config.channel_axis, -1)
    if wide.shape[-1] != case.config.channels:
        return None
    return wide.reshape(-1, case.config.channels)
