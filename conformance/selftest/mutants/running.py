"""Mutants of the running averages: weights, corrections, and stored values."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any

MEAN, VAR, BOTH = ("running.mean",), ("running.var",), ("running.mean", "running.var")


class MomentumComplemented(PlainLayer):
    """Gives the batch the weight of the old value."""

    family, killed_by = "running", BOTH

    def averaged(self, old: Array, new: Array) -> Array:
        return super().averaged(new, old)


class MomentumComplementedForRankTwo(PlainLayer):
    """Gives the batch the weight of the old value, where x is a matrix."""

    family, killed_by, path = "running", BOTH, "rank 2"

    def averaged(self, old: Array, new: Array) -> Array:
        return super().averaged(new, old) if self.config.rank == 2 else super().averaged(old, new)


class MomentumComplementedForChannelsLast(PlainLayer):
    """Gives the batch the weight of the old value, where the channel axis is the last of four."""

    family, killed_by, path = "running", BOTH, "rank 4, channels last"

    def averaged(self, old: Array, new: Array) -> Array:
        last = self.config.rank == 4 and self.config.channel_axis == 3
        return super().averaged(new, old) if last else super().averaged(old, new)


class MomentumComplementedInVariance(PlainLayer):
    """Gives the batch's variance the weight of the old value, and its mean the right one."""

    family, killed_by = "running", VAR

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return self.averaged(self.corrected(var, count), old)


class DecayInHalf(PlainLayer):
    """Keeps the decay in float16, where 0.9 is 0.8999."""

    family, killed_by, path = "running", ("running.statistics_are_stable", *BOTH), "a decay that float16 does not have"

    def decay(self) -> Array:
        return self.work.type(np.float16(self.config.decay))


class DecayOneIsDefault(PlainLayer):
    """Takes a weight of 0 for the new value as absent, and the default in its place."""

    family, killed_by, path = "running", ("running.decay_one_keeps",), "decay 1"

    def decay(self) -> Array:
        return self.work.type(self.config.decay if self.config.decay != 1 else 0.9)


class DecayZeroIsDefault(PlainLayer):
    """Takes a decay of 0 as absent, and the default in its place."""

    family, killed_by, path = "running", ("running.decay_zero_replaces",), "decay 0"

    def decay(self) -> Array:
        return self.work.type(self.config.decay or 0.9)


class DecayGrows(PlainLayer):
    """Averages cumulatively, with the decay t / (t + 1), whatever decay was requested."""

    family, killed_by = "running", BOTH

    def decay(self) -> Array:
        return self.work.type((self.steps - 1) / max(self.steps, 1))


class BiasedRunningVariance(PlainLayer):
    """Stores the population variance where the unbiased one is declared."""

    family, killed_by = "running", VAR

    def corrected(self, var: Array, count: int) -> Array:
        return var


class BiasedForPairs(PlainLayer):
    """Stores the population variance of two values per channel."""

    family, killed_by, path = "running", VAR, "2 values per channel"

    def corrected(self, var: Array, count: int) -> Array:
        return var if count == 2 else super().corrected(var, count)


class BiasedForChannelsLast(PlainLayer):
    """Stores the population variance where the channel axis is the last."""

    family, killed_by, path = "running", VAR, "rank above 2, channels last"

    def corrected(self, var: Array, count: int) -> Array:
        last = 1 < self.config.channel_axis == self.config.rank - 1
        return var if last else super().corrected(var, count)


class BiasedForHalf(PlainLayer):
    """Stores the population variance of float16 and bfloat16 values."""

    family, killed_by, path = "running", VAR, "half precision"

    def corrected(self, var: Array, count: int) -> Array:
        return var if self.config.dtype.endswith("16") else super().corrected(var, count)


class BiasedWithGradients(PlainLayer):
    """Stores the population variance where gradients are recorded."""

    family, killed_by, path = "running", ("running.moves_once_with_gradients", *VAR), "training with gradients"
    recording = False

    def corrected(self, var: Array, count: int) -> Array:
        return var if self.recording else super().corrected(var, count)

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        self.recording = True
        result = super().training_gradients(x, dy)
        self.recording = False
        return result


class CorrectedTwice(PlainLayer):
    """Applies m / (m - 1) twice."""

    family, killed_by = "running", VAR

    def corrected(self, var: Array, count: int) -> Array:
        return super().corrected(super().corrected(var, count), count)


class CorrectionInverted(PlainLayer):
    """Applies (m - 1) / m."""

    family, killed_by = "running", VAR

    def corrected(self, var: Array, count: int) -> Array:
        return var * self.work.type((count - 1) / count) if count > 1 else var


class CorrectionByTheBatchExtent(PlainLayer):
    """Corrects by the extent of the batch axis, not by the count."""

    family, killed_by, path = "running", VAR, "rank above 2"

    def update(self, x: Array) -> None:
        mean, var = self.moments(x)
        count = x.shape[1 if self.config.channel_axis == 0 else 0]
        self.store(self.new_mean(self.wide(self.mean), mean, count), self.new_var(self.wide(self.var), var, count))


class CorrectionByTheFirstCount(PlainLayer):
    """Keeps the count of the first batch for the correction of all later ones."""

    family, killed_by, path = "running", ("running.second_step_continues", *VAR), "a batch of another size"
    first = 0

    def corrected(self, var: Array, count: int) -> Array:
        self.first = self.first or count
        return super().corrected(var, self.first)


class CorrectedRunningMean(PlainLayer):
    """Applies m / (m - 1) to the mean, too."""

    family, killed_by = "running", MEAN

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        return super().new_mean(old, self.corrected(mean, count), count)


class InitialStateDebiased(PlainLayer):
    """Divides the running statistics by 1 - decay^t, though they did not start at 0."""

    family, killed_by = "running", BOTH

    def averaged(self, old: Array, new: Array) -> Array:
        weight = 1 - self.decay() ** self.steps
        return super().averaged(old, new) / (weight if weight > 0 else 1)


class UpdateDividedByCount(PlainLayer):
    """Divides the new value's weight by the count."""

    family, killed_by = "running", MEAN

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        return old + (1 - self.decay()) * (mean - old) / self.work.type(count)


class VarianceAboutTheRunningMean(PlainLayer):
    """Takes the batch's spread about the running mean that it has just written."""

    family, killed_by = "running", VAR

    def update(self, x: Array) -> None:
        super().update(x)
        var = self.moments(x)[1]
        spread = np.square(x - self.wide(self.mean)).mean(axis=self.axes, keepdims=True)
        self.var[:] = (self.wide(self.var) + (1 - self.decay()) * (spread - var)).reshape(-1)


class DeviationAveraged(PlainLayer):
    """Averages standard deviations and squares the result."""

    family, killed_by = "running", VAR

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return np.square(self.averaged(np.sqrt(old), np.sqrt(self.corrected(var, count))))


class InverseDeviationStored(PlainLayer):
    """Averages inv_std where the variance is documented."""

    family, killed_by = "running", VAR

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return self.averaged(old, self.inv_std(var))


class RunningMeanInHalf(PlainLayer):
    """Rounds the running mean to float16."""

    family, killed_by = "running", MEAN

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean.astype(np.float16), var)


class RunningVarianceFloored(PlainLayer):
    """Stores no variance below 1e-5."""

    family, killed_by, path = "running", VAR, "running variance below 1e-5"

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean, np.maximum(var, 1e-5))


class RunningVarianceNegative(PlainLayer):
    """Takes the running variance's share from E[x^2] - E[x]^2, which rounding makes negative, at decay 0."""

    family, killed_by, path = "running", ("running.var_not_negative",), "decay 0, one pass"

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        if self.config.decay == 0:
            var = np.where(var < np.finfo(self.work).eps, -var - np.finfo(self.work).tiny, var)
        return super().new_var(old, var, count)


class WeightOfTheNewInThreeDigits(PlainLayer):
    """Rounds 1 - decay to three digits after the point."""

    family, path = "running", "a decay of four digits"
    killed_by = ("running.mean", "running.var", "dtype.half_is_as_exact_as_declared")

    def averaged(self, old: Array, new: Array) -> Array:
        weight = self.work.type(round(1 - self.config.decay, 3))
        return (1 - weight) * old + weight * new


class VolumesCorrectedByTheirPositions(PlainLayer):
    """Takes the positions of a volume for its count, in the correction, where one of its extents is 1."""

    family, killed_by, path = "running", ("running.var",), "a volume with an extent of 1"
    positions = 0

    def update(self, x: Array) -> None:
        volume = x.ndim == 5 and 1 in x.shape[2:] and self.config.channel_axis == 1
        self.positions = int(np.prod(x.shape[2:])) if volume else 0
        super().update(x)

    def corrected(self, var: Array, count: int) -> Array:
        return super().corrected(var, self.positions or count)


class NoMomentumIsNoneWithoutAffine(PlainLayer):
    """Takes a decay of 1 for none given, without gamma and beta."""

    family, killed_by, path = "running", (*BOTH, "running.decay_one_keeps"), "decay 1, no gamma and beta"

    def decay(self) -> Array:
        return super().decay() if self.config.affine or self.config.decay != 1 else self.work.type(0.9)


class SmallRunningMeansAreNone(PlainLayer):
    """Takes a running mean below 1e-8 for 0."""

    family, killed_by, path = "running", (*MEAN, "running.decay_zero_replaces"), "tiny values"

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        new = super().new_mean(old, mean, count)
        return np.where(np.abs(new) < 1e-8, 0, new).astype(new.dtype)


class SixteenthStepReplaces(PlainLayer):
    """Counts its steps in four bits, and takes the step after 15 for the first, which replaces the statistics."""

    family, killed_by, path = "running", (*BOTH, "running.unrolled"), "sixteen steps"

    def averaged(self, old: Array, new: Array) -> Array:
        return new if self.steps and self.steps % 16 == 0 else super().averaged(old, new)
