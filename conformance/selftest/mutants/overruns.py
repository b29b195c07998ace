"""Mutants that write beside the arrays that they are handed."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any

INSIDE = ("contract.stays_in_its_buffers",)


def beside(array: Array, place: int) -> Array:
    """The element at this place of the array's memory, counted from its first: -1 lies before it, its size after it."""
    step = array.dtype.itemsize
    strided = np.lib.stride_tricks.as_strided(array.reshape(-1)[:1], (abs(place) + 1,), (step if place > 0 else -step,))
    return strided[-1:]


def packed(array: Array) -> bool:
    """Whether the array's memory is one block of its own."""
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    return bool(array.flags.c_contiguous and array.size > 0 and base.nbytes <= array.nbytes + 4 * 64)


class OneStatisticTooMany(PlainLayer):
    """Stores one running variance more than there are channels, in training."""

    family, killed_by, path = "contract", INSIDE, "training"

    def forward(self, x: Array) -> Array:
        y = super().forward(x)
        if packed(self.var):
            beside(self.var, self.var.size)[:] = 1
        return y


class ClearsBeforeTheMean(PlainLayer):
    """Clears one element before the running mean, in training."""

    family, killed_by, path = "contract", INSIDE, "training"

    def forward(self, x: Array) -> Array:
        y = super().forward(x)
        if packed(self.mean):
            beside(self.mean, -1)[:] = 0
        return y


class PadsTheCotangent(PlainLayer):
    """Writes a zero behind the cotangent, for a vector load of its tail."""

    family, killed_by, path = "contract", INSIDE, "backward"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        if packed(dy):
            beside(dy, dy.size)[:] = 0
        return super().training_gradients(x, dy)
