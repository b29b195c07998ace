"""Memory layouts: the same values with other strides, offsets and orders.

The gaps between a view's elements hold NaN, so a kernel that reads them is detected.
"""

from __future__ import annotations

import numpy as np

LAYOUTS = ("packed", "fortran", "channels_last", "sliced", "stepped", "reversed", "transposed", "loose", "expanded")
#: Of a cotangent: the backward pass of a sum returns one number with strides of 0.
DY_LAYOUTS = (*LAYOUTS[:-1], "scalar")


def lay_out(array: np.ndarray, layout: str, channel_axis: int) -> np.ndarray:
    """``array`` in this layout.

    All layouts keep the values except two with strides of 0: "expanded" repeats the first row, "scalar" the first element. "loose"
    is packed, except that axes of extent 1 have the (meaningless) stride of 7 elements.
    """
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
    if layout == "scalar":
        return np.broadcast_to(np.ascontiguousarray(array).reshape(-1)[:1].reshape((1,) * array.ndim), array.shape)
    if layout == "loose":
        packed = np.ascontiguousarray(array)
        strides = [7 * array.itemsize if n == 1 else s for n, s in zip(packed.shape, packed.strides, strict=True)]
        return np.lib.stride_tricks.as_strided(packed, packed.shape, strides)
    if layout == "sliced":
        room = np.full([n + 2 for n in array.shape], np.nan).astype(array.dtype)
        view = room[tuple(slice(1, 1 + n) for n in array.shape)]
    else:  # stepped
        room = np.full([2 * array.shape[0], *array.shape[1:]], np.nan).astype(array.dtype)
        view = room[::2]
    view[...] = array
    return view
