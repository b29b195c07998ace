"""Mutants of the batch statistics: narrow sums, wrong divisors, wrong statistics."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer

Array = Any
Moments = Tuple[Array, Array]

HALF = ("dtype.half_is_as_exact_as_declared",)


class MeanRoundedToBfloat(PlainLayer):
    """Keeps eight bits of the mean before it is subtracted."""

    family, killed_by = "training", ("training.output", "training.output_is_stable")

    def average(self, x: Array) -> Array:
        mean = super().average(x).astype(np.float32)
        return (mean.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32).astype(self.work)


class LargeMeanRounded(PlainLayer):
    """Rounds a mean beyond 1,000 to a whole number."""

    family, killed_by, path = "training", ("training.output", "training.output_is_stable"), "|mean| above 1,000"

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        return np.where(np.abs(mean) > 1000, np.round(mean), mean), var


class HalfAccumulator(PlainLayer):
    """Sums float16 values and their squares in float16."""

    family, killed_by, path = "dtype", HALF, "float16"

    def moments(self, x: Array) -> Moments:
        if self.config.dtype != "float16":
            return super().moments(x)
        half = x.astype(np.float16)
        mean = half.mean(axis=self.axes, keepdims=True, dtype=np.float16)
        var = np.square(half - mean).mean(axis=self.axes, keepdims=True, dtype=np.float16)
        return mean.astype(self.work), var.astype(self.work)


class HalfSumOverflows(PlainLayer):
    """Keeps the sum of float16 values in float16, where it overflows at 65,504."""

    family, killed_by, path = "dtype", ("training.finite", *HALF), "float16, a sum beyond 65,504"

    def average(self, x: Array) -> Array:
        total = x.sum(axis=self.axes, keepdims=True)
        if self.config.dtype == "float16":
            total = np.where(np.abs(total) > 65504, np.copysign(np.inf, total), total)
        return (total / self.work.type(self.count(x))).astype(self.work)


class HalfSquaresOverflow(PlainLayer):
    """Squares the deviations of float16 values in float16, where 256^2 is infinite."""

    family, killed_by, path = "dtype", HALF, "float16"

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        if self.config.dtype == "float16":
            squares = np.square((x - mean).astype(np.float16))
            var = squares.astype(self.work).mean(axis=self.axes, keepdims=True)
        return mean, var


class BfloatAccumulator(PlainLayer):
    """Sums bfloat16 values in bfloat16, one by one, so that sums stop growing at 256 terms."""

    family, killed_by, path = "dtype", HALF, "bfloat16"

    def average(self, x: Array) -> Array:
        if self.config.dtype != "bfloat16" or self.count(x) < 32:
            return super().average(x)
        lanes, total = self.lanes(x), np.zeros(self.config.channels, np.float32)
        for k in range(lanes.shape[1]):
            total = ((total + lanes[:, k]).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        return self.broad(total / np.float32(lanes.shape[1]))


class SampleVarianceNormalises(PlainLayer):
    """Normalises by the unbiased variance."""

    family, killed_by = "training", ("training.output",)

    def training_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return mean, self.corrected(var, self.count(x))


class SampleVarianceNormalisesPairs(PlainLayer):
    """Normalises two values per channel by the unbiased variance."""

    family, killed_by, path = "training", ("training.output",), "2 values per channel"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return mean, self.corrected(var, 2) if self.count(x) == 2 else var


class SampleVarianceInBackward(PlainLayer):
    """Normalises by the unbiased variance in the backward pass."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.training_dgamma"), "backward"

    def backward_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return mean, self.corrected(var, self.count(x))


class SampleVarianceOfOneChannel(PlainLayer):
    """Normalises by the unbiased variance where there is one channel, which goes through another kernel."""

    family, killed_by, path = "training", ("training.output", "training.output_is_stable"), "1 channel"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return mean, self.corrected(var, self.count(x)) if self.config.channels == 1 else var


class DeviationForVariance(PlainLayer):
    """Takes the standard deviation for the variance."""

    family, killed_by = "training", ("training.output",)

    def inv_std(self, var: Array) -> Array:
        return super().inv_std(np.sqrt(var))


class RootForgotten(PlainLayer):
    """Divides by the variance itself."""

    family, killed_by = "training", ("training.output",)

    def inv_std(self, var: Array) -> Array:
        return 1 / (var + self.epsilon())


class VarianceCapped(PlainLayer):
    """Takes no variance above 10,000."""

    family, killed_by, path = "training", ("training.output",), "variance above 10,000"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return mean, np.minimum(var, 10000)


class TinyVarianceTakenForNone(PlainLayer):
    """Takes a variance below 10^-20 for 0."""

    family, killed_by = "training", ("training.output", "running.var", "epsilon.not_in_running_variance")
    path = "a tiny variance"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        return mean, np.where(var < 1e-20, self.work.type(0), var)
