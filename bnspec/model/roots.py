"""Moves the memory under arrays to a device: each block once, so that strides, offsets and sharing can be rebuilt there.

A copy of a view packs it, and copies of two views of one block share nothing: a device would then never see the layouts and
aliases that a case is about. What moves is the block, as bytes; views of it are made on the other side.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Dict, Tuple

import numpy as np

from bnspec.model.buffers import block_of, root_of

#: Addresses keep their remainder by this on the device, whose allocators align to more: kernels choose by alignment.
ALIGNMENT = 64


class Roots:
    """The blocks that are on a device now, each moved when an array over it is first asked for.

    A block stays known as long as its array on the host lives.

    Args:
        move: the block as the device's memory; it is given a 1-D uint8 array whose size is a multiple of ``ALIGNMENT``.
    """

    def __init__(self, move: Callable[[np.ndarray], Any]) -> None:
        self._move = move
        self._moved: Dict[
            int, Tuple[Any, Any, int]
        ] = {}  # by id: the root's weak reference, its memory, its first byte

    def of(self, array: np.ndarray) -> Tuple[Any, int]:
        """The device's memory that holds the array, and the offset of its first element in bytes."""
        root, start = root_of(array), _address(array)
        block = block_of(root)
        if block is None:  # of several blocks, which nobody can move as one
            root = array = array.copy(order="C")
            block, start = array.reshape(-1).view(np.uint8), _address(array)
        known = self._moved.get(id(root))
        if known is None:
            known = self._moved[id(root)] = self._brought(root, block)
        _, memory, begin = known
        return memory, start - begin if array.size else 0

    def _brought(self, root: np.ndarray, block: np.ndarray) -> Tuple[Any, Any, int]:
        """The block, moved; with the host address that the first byte of the device's memory stands for."""
        key, first = id(root), _address(block)
        before = first % ALIGNMENT
        room = np.zeros(-(-(before + block.size) // ALIGNMENT) * ALIGNMENT, np.uint8)
        room[before : before + block.size] = block
        reference = weakref.ref(root, lambda _: self._moved.pop(key, None) and None)
        return reference, self._move(room), first - before


def _address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])
