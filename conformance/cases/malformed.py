"""Arguments that are malformed on purpose, derived from a well-formed case: one that is wrong, and nothing else."""

from __future__ import annotations

import numpy as np

from bnspec.model.buffers import dtype_of
from bnspec.model.case import Case


def malformed_x(case: Case) -> dict[str, np.ndarray]:
    """x with other channels than the layer, by name: twice as many, one that would broadcast, and both without elements."""
    x, config = case.arrays["x"], case.config
    wide, first = np.repeat(x, 2, config.channel_axis), np.take(x, [0], config.channel_axis)
    found = {"wide": wide, "empty_wide": _empty(wide, config.reduce_axes[-1])}
    if config.channels > 1:
        found.update(one_channel=first, empty_one_channel=_empty(first, config.reduce_axes[-1]))
    return found


def malformed_dy(case: Case) -> dict[str, np.ndarray]:
    """dy of another shape than x, by name: twice as long, one long, of one axis fewer, and of one axis more."""
    dy, axis = np.ascontiguousarray(case.arrays["dy"]), case.config.reduce_axes[0]
    found = {"long": np.concatenate([dy, dy], axis), "flat": np.take(dy, 0, axis), "deep": dy[None]}
    if dy.shape[axis] > 1:
        found["short"] = np.take(dy, [0], axis)
    return found


def malformed_parameters(case: Case) -> dict[str, np.ndarray]:
    """Parameters that are not of shape (C,), by name: too many values, too few, one, a scalar; a row, and a column per channel."""
    config = case.config
    count = np.arange(1, 2 * config.channels + 1).astype(dtype_of(config.parameter_dtype))
    right = count[: config.channels]
    found = {"more": count, "row": right.reshape(1, -1), "column": right.reshape(-1, 1, 1, 1), "scalar": count[0]}
    if config.channels > 1:
        found["one"] = count[:1]
    if config.channels > 2:  # else it is "one"
        found["fewer"] = right[:-1]
    return {name: np.array(a) for name, a in found.items()}


def _empty(x: np.ndarray, axis: int) -> np.ndarray:
    """x without elements: of extent 0 along an axis."""
    return np.take(x, [], axis)
