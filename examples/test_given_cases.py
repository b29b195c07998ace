"""A property-based test of your own layer: cases from bnspec, exact answers from its oracle, no tolerance of your own.

pytest examples/test_given_cases.py
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from bnspec.conformance.cases.strategies import cases
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.oracle import Oracle


def my_batch_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, epsilon: float, channel_axis: int
) -> np.ndarray:
    """Your function: half precision is computed in float32, all else in its own precision."""
    wide = x.astype(np.promote_types(x.dtype, np.float32) if x.dtype.kind == "f" else np.float32)
    axes = tuple(axis for axis in range(x.ndim) if axis != channel_axis)
    shape = [-1 if axis == channel_axis else 1 for axis in range(x.ndim)]
    mean = wide.mean(axes, keepdims=True)
    var = np.square(wide - mean).mean(axes, keepdims=True)
    y = (wide - mean) / np.sqrt(var + wide.dtype.type(epsilon))
    if gamma is not None and beta is not None:
        y = gamma.astype(wide.dtype).reshape(shape) * y + beta.astype(wide.dtype).reshape(shape)
    return y.astype(x.dtype)


@given(cases())
@settings(max_examples=50, deadline=None)
def test_y_stays_within_its_bound(case: Case) -> None:
    """error / bound is at most 1 for every element of y; a ratio is NaN where the definition says nothing."""
    config, arrays = case.config, case.arrays
    with np.errstate(all="ignore"):
        y = my_batch_norm(arrays["x"], arrays.get("gamma"), arrays.get("beta"), config.epsilon, config.channel_axis)
    expected = Oracle(case).expect(Step(TRAINING, ("x",)), arrays, Conventions())["y"]
    ratios = ratios_of(y, expected, "lenient")
    assert not (ratios > 1.0).any(), case.config
