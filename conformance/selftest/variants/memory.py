"""Variants of memory: placement of results and state, and values cached, flushed or shared between calls."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients, State

Array = Any
Pair = Tuple[Array, Array]


class FlushesInputs(PlainLayer):
    """Treats inputs below the normal range as 0."""

    def values(self, array: Array) -> Array:
        wide = super().values(array)
        return np.where(np.abs(wide) < np.finfo(self.work).tiny, np.copysign(self.work.type(0), wide), wide)


class FlushesResults(PlainLayer):
    """Treats results below the normal range as 0."""

    def flushed(self, array: Array) -> Array:
        """The array without subnormal numbers."""
        return np.where(np.abs(array) < np.finfo(self.work).tiny, self.work.type(0), array)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return self.flushed(super().output(x, mean, inv_std))

    def moments(self, x: Array) -> Pair:
        mean, var = super().moments(x)
        return self.flushed(mean), self.flushed(var)

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.flushed(super().training_dx(dy, zhat, inv_std))


class FortranResults(PlainLayer):
    """Returns results in Fortran order."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return np.asfortranarray(super().output(x, mean, inv_std))

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        result = super().gradients(x, y, dx, dgamma, dbeta)
        return result._replace(dx=np.asfortranarray(result.dx))


class ResultsInLargerMemory(PlainLayer):
    """Returns views into fresh memory that is larger than the result."""

    def roomy(self, array: Array) -> Array:
        """The array as a view, every second row of fresh memory."""
        room = np.zeros((2 * array.shape[0], *array.shape[1:]), array.dtype)
        view = room[::2]
        view[...] = array
        return view

    def training(self, x: Array) -> Array:
        return self.roomy(super().training(x))

    def inference(self, x: Array) -> Array:
        return self.roomy(super().inference(x))

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        result = super().gradients(x, y, dx, dgamma, dbeta)
        return result._replace(y=self.roomy(result.y), dx=self.roomy(result.dx))


class StateRebound(PlainLayer):
    """Puts new arrays in the place of the running statistics, and writes into none."""

    def store(self, mean: Array, var: Array) -> None:
        dtype = self.mean.dtype
        self.mean, self.var = (v.reshape(-1).astype(dtype) for v in (mean, var))


class StateCopied(PlainLayer):
    """Copies all its arguments, and returns copies of its state."""

    def __init__(self, config: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
        gamma, beta = (None if v is None else v.copy() for v in (gamma, beta))
        super().__init__(config, gamma, beta, running_mean.copy(), running_var.copy())

    def state(self) -> State:
        return State(self.mean.copy(), self.var.copy())


class CachesWhatItMay(PlainLayer):
    """Keeps the folded scale and shift of inference, until a training step."""

    folded: Any = None

    def update(self, x: Array) -> None:
        super().update(x)
        self.folded = None

    def infer(self, x: Array) -> Array:
        if self.folded is None:
            mean, var = self.inference_statistics(x)
            scale = self.gamma() * self.inference_inv_std(var)
            self.folded = scale, self.beta() - mean * scale
        return (self.values(x) * self.folded[0] + self.folded[1]).astype(self.result_dtype(x))


class StatisticsSharedByThePass(PlainLayer):
    """Takes the statistics once in a step, for y, for the state and for the backward pass."""

    kept: Any = None

    def moments(self, x: Array) -> Pair:
        if self.kept is None or self.kept[0] is not x:
            self.kept = x, super().moments(x)
        return self.kept[1]


class UpdateWithNanRejected(PlainLayer):
    """Leaves both running statistics of a channel as they are where the batch holds a NaN in it."""

    def update(self, x: Array) -> None:
        before = self.mean.copy(), self.var.copy()
        super().update(x)
        lost = np.isnan(self.lanes(x)).any(axis=1)
        self.mean[lost], self.var[lost] = before[0][lost], before[1][lost]


class PackedAtAnAlignedAddress(PlainLayer):
    """Copies every input to an aligned address first."""

    def values(self, array: Array) -> Array:
        room = np.empty(array.size + 64, self.work)
        skip = -room.ctypes.data % 64 // self.work.itemsize
        room[skip : skip + array.size] = array.reshape(-1)
        return room[skip : skip + array.size].reshape(array.shape)
