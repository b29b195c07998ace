"""Checks that the shapes of a call's arguments fit together."""

from __future__ import annotations

from typing import Mapping, Optional, Tuple

Shape = Tuple[int, ...]


def malformed(x: Shape, channel_axis: int, channels: Mapping[str, Shape], dy: Optional[Shape] = None) -> str:
    """The problem with a call's shapes, as a sentence that names the argument, its shape and the expected one.

    Args:
        x: shape of x, at least one axis besides the channel axis.
        channel_axis: 0 <= channel_axis < number of axes of x.
        channels: shapes of those of gamma, beta, running_mean, running_var that exist; each must be (C,).
        dy: shape of the cotangent; must be x's.

    Returns: "" for a well-formed call.
    """
    if len(x) < 2:
        return f"x has shape {x}, expected at least 2 axes: the channel axis and one that is reduced"
    if not 0 <= channel_axis < len(x):
        return f"channel_axis is {channel_axis}, expected 0 to {len(x) - 1} for x of shape {x}"
    wanted = (x[channel_axis],)
    for name, shape in channels.items():
        if shape != wanted:
            return f"{name} has shape {shape}, expected {wanted}: one value for each channel of x of shape {x}"
    if dy is not None and dy != x:
        return f"dy has shape {dy}, expected {x}, the shape of x"
    return ""
