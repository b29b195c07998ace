"""Mutants that add one value after the other: each admitted by the definition, and useless at large counts and means."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainScaler
from bnspec.model.buffers import dtype_of
from bnspec.model.conventions import HALVES

Array = Any
Moments = Tuple[Array, Array]

DIGITS = ("accuracy.keeps_a_digit",)


def one_by_one(lanes: Array) -> Array:
    """The sum of each row, its values added from first to last."""
    return np.cumsum(lanes, axis=1, dtype=lanes.dtype)[:, -1]


class SequentialSums(PlainLayer):
    """Adds one value after the other, in the working precision."""

    family, killed_by = "accuracy", DIGITS

    def moments(self, x: Array) -> Moments:
        mean = self.broad(self.summed(self.lanes(x)) / self.work.type(self.count(x)))
        return mean, self.broad(self.summed(self.lanes(np.square(x - mean))) / self.work.type(self.count(x)))

    def summed(self, lanes: Array) -> Array:
        """The sum of each row."""
        return one_by_one(lanes)


class ReversedSums(SequentialSums):
    """Adds one value after the other, from the last to the first."""

    def summed(self, lanes: Array) -> Array:
        return one_by_one(lanes[:, ::-1])


class SequentialSumsForChannelsLast(SequentialSums):
    """Adds row by row where the channel axis is the last, and pairwise elsewhere."""

    path = "channels last"

    def summed(self, lanes: Array) -> Array:
        last = self.config.channel_axis == self.config.rank - 1
        return super().summed(lanes) if last else lanes.sum(axis=1)


class SequentialSumsForChannelsFirst(SequentialSums):
    """Adds value by value in images and volumes with the channels first, and pairwise elsewhere."""

    path = "rank above 2, channels first"

    def summed(self, lanes: Array) -> Array:
        inner = self.config.channel_axis < self.config.rank - 1
        return super().summed(lanes) if inner else lanes.sum(axis=1)


class HalfSumsWithHalfParameters(SequentialSums):
    """Adds in x's half precision where the parameters are in it, too, from 1,024 values on."""

    family, killed_by, path = "dtype", ("dtype.half_is_as_exact_as_declared",), "half-precision parameters, many values"

    def moments(self, x: Array) -> Moments:
        config = self.config
        halves = config.dtype in HALVES and config.parameter_dtype == config.dtype
        return super().moments(x) if halves and self.count(x) >= 1024 else PlainLayer.moments(self, x)

    def summed(self, lanes: Array) -> Array:
        return one_by_one(lanes.astype(dtype_of(self.config.dtype))).astype(lanes.dtype)


class SequentialSumsInRunningStatistics(SequentialSums):
    """Adds one value after the other for the running statistics, and pairwise for y."""

    path = "running statistics"

    def training_statistics(self, x: Array) -> Moments:
        return PlainLayer.moments(self, x)


class SequentialSumsInTrainingStatistics(SequentialSums):
    """Adds one value after the other for y, and pairwise for the running statistics."""

    path = "normalisation"

    def training_statistics(self, x: Array) -> Moments:
        return SequentialSums.moments(self, x)

    def moments(self, x: Array) -> Moments:
        return PlainLayer.moments(self, x)


class YoungsCramer(PlainLayer):
    """Updates a sum value by value, and squared deviations from it: S += (k x - T)^2 / (k (k - 1))."""

    family, killed_by = "accuracy", DIGITS

    def moments(self, x: Array) -> Moments:
        lanes = self.lanes(x)
        total, squares = lanes[:, 0].copy(), np.zeros(len(lanes), self.work)
        for k, column in enumerate(lanes.T[1:], 2):
            total = total + column
            squares = squares + np.square(self.work.type(k) * column - total) / self.work.type(k * (k - 1))
        return self.broad(total / self.work.type(lanes.shape[1])), self.broad(squares / self.work.type(lanes.shape[1]))


class ScalerSequentialSums(PlainScaler):
    """Fits a chunk by adding its rows one by one."""

    family, killed_by = "accuracy", DIGITS

    def average(self, chunk: Array) -> Array:
        return (one_by_one(self.lanes(chunk)) / self.work.type(self.size(chunk))).reshape(self.config.channel_shape)
