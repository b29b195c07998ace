"""Splits large cases into blocks of channels.

The channels of batch normalization are independent. Working block by block keeps the oracle's memory bounded and its arrays in
the processor's cache.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from bnspec.model.case import Case

#: Approximate number of elements of x in a block; a case of at most twice as many is one block.
BLOCK = 2**17


def is_large(case: Case, name: str) -> bool:
    """Whether the array should be treated block by block."""
    return case.config.channels > 1 and case.arrays[name].size > 2 * BLOCK


def channel_blocks(case: Case, name: str) -> Iterator[slice]:
    """Slices of channels that partition the case, each at least one channel and about BLOCK elements of the array."""
    channels = case.config.channels
    width = max(1, BLOCK * channels // case.arrays[name].size)
    for start in range(0, channels, width):
        yield slice(start, min(start + width, channels))


def block_of(case: Case, channels: slice) -> Case:
    """The case restricted to these channels; its arrays are views."""
    arrays = {n: view(a, channels, case.config.channel_axis) for n, a in case.arrays.items()}
    return case.with_(config=dataclasses.replace(case.config, channels=channels.stop - channels.start), arrays=arrays)


def block_of_state(state: Mapping[str, np.ndarray], channels: slice) -> dict[str, np.ndarray]:
    """The statistics of these channels, each of shape (C,)."""
    return {n: a[channels] for n, a in state.items()}


def view(array: np.ndarray, channels: slice, channel_axis: int) -> np.ndarray:
    """These channels of an array shaped like x, or of shape (C,)."""
    return array[(slice(None),) * (channel_axis if array.ndim > 1 else 0) + (channels,)]


def whole_of(part: np.ndarray, channels: int, channel_axis: int) -> np.ndarray:
    """Empty storage for all channels, in the form that ``part`` has for some of them."""
    shape = list(part.shape)
    shape[channel_axis if part.ndim > 1 else 0] = channels
    return np.empty(shape, part.dtype)
