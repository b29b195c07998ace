"""Memory layouts: the same values, reached through other strides, offsets and orders.

What lies between a view's elements is NaN: a kernel that reads it cannot go unnoticed.
"""

from __future__ import annotations

import numpy as np

LAYOUTS = ("packed", "fortran", "channels_last", "sliced", "stepped", "reversed", "transposed", "expanded")


def lay_out(array: np.ndarray, layout: str, channel_axis: int) -> np.ndarray:
    """``array`` in the layout. All keep the values, but "expanded", which repeats the first row with stride 0."""
    if layout == "packed" or array.size == 0:
        return np.ascontiguousarray(array)
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "channels_last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, channel_axis, -1)), -1, channel_axis)
    if layout == "transposed":
        return np.ascontiguousarray(array.swapaxes(0, -1)).swapaxes(0, -1)
    if layout == "reversed":
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if layout == "expanded":
        return np.broadcast_to(np.ascontiguousarray(array[:1]), array.shape)
    if layout == "sliced":
        room = np.full([n + 2 for n in array.shape], np.nan).astype(array.dtype)
        view = room[tuple(slice(1, 1 + n) for n in array.shape)]
    else:  # stepped
        room = np.full([2 * array.shape[0], *array.shape[1:]], np.nan).astype(array.dtype)
        view = room[::2]
    view[...] = array
    return view
