"""Memory layouts: the same values with other strides, offsets and orders.

The gaps between a view's elements hold NaN, so a kernel that reads them is detected.
"""

from __future__ import annotations

import numpy as np

LAYOUTS = (
    "packed",
    "fortran",
    "channels_last",
    "sliced",
    "stepped",
    "reversed",
    "transposed",
    "loose",
    "stepped_channels",
    "stepped_last",
    "reversed_first",
    "reversed_channels",
    "reversed_everywhere",
    "expanded",
)
#: The layouts that step through or reverse another axis than the usual one.
EVERY_AXIS = LAYOUTS[-6:-1]
#: Of a cotangent: the backward pass of a sum returns one number with strides of 0.
DY_LAYOUTS = (*LAYOUTS[:-1], "scalar")


def lay_out(array: np.ndarray, layout: str, channel_axis: int) -> np.ndarray:
    """``array`` in this layout.

    All layouts keep the values except two with strides of 0: "expanded" repeats the first row, "scalar" the first element. "loose"
    is packed, except that axes of extent 1 have the (meaningless) stride of 7 elements. "stepped" takes every second row and
    "reversed" runs back along the last axis; with a suffix, along the first axis, the channel axis, the last axis or all axes.
    """
    if layout == "packed" or array.size == 0:
        return np.ascontiguousarray(array)
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "channels_last":
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, channel_axis, -1)), -1, channel_axis)
    if layout == "transposed":
        return np.ascontiguousarray(array.swapaxes(0, -1)).swapaxes(0, -1)
    if layout.startswith("reversed"):
        axes = _axes(layout, channel_axis, -1)
        return np.flip(np.ascontiguousarray(np.flip(array, axes)), axes)
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
        axis = np.arange(array.ndim)[_axes(layout, channel_axis, 0)]
        room = np.full([2 * n if a == axis else n for a, n in enumerate(array.shape)], np.nan).astype(array.dtype)
        view = room[tuple(slice(None, None, 2) if a == axis else slice(None) for a in range(array.ndim))]
    view[...] = array
    return view


def _axes(layout: str, channel_axis: int, usual: int) -> int | None:
    """The axis that the suffix of a layout names; None for all axes."""
    suffixes: dict[str, int | None] = {"first": 0, "channels": channel_axis, "last": -1, "everywhere": None}
    return suffixes.get(layout.partition("_")[2], usual)


def one_buffer(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays, those of these names packed one behind another in one buffer, as flattened parameters and batches are.

    Each but the first begins an odd number of its elements into the buffer: no vector of two or more elements is aligned there.
    """
    given = [n for n in names if n in arrays]
    starts, end = [], 0
    for name in given:
        size = arrays[name].itemsize
        start = -(-end // size) * size
        starts.append(start + (size if start and start // size % 2 == 0 else 0))
        end = starts[-1] + arrays[name].nbytes
    room = np.zeros(end, np.uint8)
    placed = {}
    for name, start in zip(given, starts, strict=True):
        placed[name] = np.ndarray(arrays[name].shape, arrays[name].dtype, room, start)
        placed[name][...] = arrays[name]
    return {**arrays, **placed}
