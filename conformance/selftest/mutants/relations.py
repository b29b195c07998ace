"""Mutants detected by relations between two calls: shifted, scaled, reordered, repeated, with another decay or cotangent."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer

Array = Any
Moments = Tuple[Array, Array]


class LargeMeansWidenTheVariance(FullLayer):
    """Adds a sixty-fourth to the variance that normalises where |mean| is above 48."""

    family, killed_by, path = "training", ("training.shift_invariant",), "|mean| above 48"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        return mean, np.where(np.abs(mean) > 48, var * self.work.type(65 / 64), var)


class MeanCentredOnIntegers(FullLayer):
    """Rounds a batch mean of at least 32 to an integer."""

    family, killed_by, path = "training", ("training.shift_invariant",), "|mean| of at least 32"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        return np.where(np.abs(mean) >= 32, np.rint(mean), mean), var


class LargeEpsilonCapped(FullLayer):
    """Takes 1/2 for an epsilon above it, in training."""

    family, killed_by, path = "training", ("training.scale_equivariant",), "epsilon above 1/2"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        return mean, var - self.epsilon() + min(self.epsilon(), self.work.type(0.5))


class NegativeScaleFlipsDx(FullLayer):
    """Takes |gamma| in dx."""

    family, killed_by, path = "training", ("training.scale_equivariant", "gradient.training_dx"), "gamma below 0"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return np.sign(self.gamma()) * super().training_dx(dy, zhat, inv_std)


class FirstRowCountsTwice(FullLayer):
    """Counts the first element twice in the mean that centres."""

    family, killed_by = "training", ("training.order_of_elements", "training.repeated_batch")

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        first, count = self.lanes(x)[:, :1], self.work.type(self.count(x))
        return (mean * count + self.broad(first)) / (count + 1), var


class LastRowOutOfTheVariance(FullLayer):
    """Leaves the last element out of the variance."""

    family, killed_by = "training", ("training.order_of_elements",)

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        last, count = self.broad(self.lanes(x)[:, -1:]), self.work.type(self.count(x))
        return mean, np.maximum(var - np.square(last - mean) / count, 0)


class SmallBatchesCorrected(FullLayer):
    """Normalises by the sample variance in batches of fewer than 128 values."""

    family, killed_by, path = "training", ("training.repeated_batch",), "fewer than 128 values"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        return mean, self.corrected(var, self.count(x)) if self.count(x) < 128 else var


class SmallDecayNormalisesByTheNewState(FullLayer):
    """Normalises in training by the running mean that the step leaves, where the decay is 1/2 or less, but not 0."""

    family, killed_by, path = "training", ("training.ignores_decay",), "decay from 0 to 1/2"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        if 0 < self.config.decay <= 0.5:
            mean = self.new_mean(self.wide(self.mean), mean, self.count(x))
        return mean, var


class DecayLeavesTheGradients(FullLayer):
    """Multiplies what goes through the variance in dx by 1 - decay / 8."""

    family, killed_by, path = "training", ("training.ignores_decay",), "dx"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        share = self.work.type(1 - self.config.decay / 8)
        return self.gamma() * inv_std * (dy - self.average(dy) - share * zhat * self.average(dy * zhat))


class OutputScaledUp(FullLayer):
    """Moves y by a thousandth of gamma, in training alone."""

    family, killed_by = "training", ("training.output_moments",)

    def forward(self, x: Array) -> Array:
        y = super().forward(x)
        return (y + (self.gamma() * self.work.type(1e-3)).astype(y.dtype)).astype(y.dtype)


class DxKeepsATrace(FullLayer):
    """Subtracts 255/256 of the mean of dy in dx."""

    family, killed_by = "gradient", ("gradient.orthogonality",)

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return super().training_dx(dy, zhat, inv_std) + self.gamma() * inv_std * self.average(dy) / 256


class LargeCotangentsClipped(FullLayer):
    """Clips dy to the range of -4 to 4."""

    family, killed_by, path = "gradient", ("gradient.linear_in_the_cotangent",), "|dy| above 4"

    def cotangent(self, dy: Array) -> Array:
        return np.clip(super().cotangent(dy), -4, 4)


class CotangentBelowZeroHalved(FullLayer):
    """Halves what is below 0 in dbeta's sum."""

    family, killed_by = "gradient", ("gradient.linear_in_the_cotangent",)

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, np.where(dbeta < 0, dbeta / 2, dbeta)


class NoCotangentIsOnes(FullLayer):
    """Takes a cotangent of zeros for one of ones, as if none had been given."""

    family, killed_by, path = "gradient", ("gradient.linear_in_the_cotangent",), "dy of zeros"

    def cotangent(self, dy: Array) -> Array:
        wide = super().cotangent(dy)
        return np.ones_like(wide) if wide.size and not wide.any() else wide


class RunningVarianceFlooredInInference(FullLayer):
    """Takes at least 4 for the running variance, before epsilon is added."""

    family, killed_by = "epsilon", ("epsilon.only_the_sum_counts",)
    path = "inference, running variance below 4"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, np.maximum(var, self.work.type(4))


class LargeEpsilonTwiceInInference(FullLayer):
    """Adds an epsilon of at least 1/4 twice, in inference."""

    family, killed_by, path = "epsilon", ("epsilon.only_the_sum_counts",), "inference, epsilon of at least 1/4"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, var + self.epsilon() if self.config.epsilon >= 0.25 else var


class RowsNormalisedBySampleVariance(FullLayer):
    """Normalises x of rank 2 by the sample variance."""

    family, killed_by, path = "layout", ("layout.joined_axes",), "rank 2"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        return mean, self.corrected(var, self.count(x)) if x.ndim == 2 else var


class RowsDxUncentred(FullLayer):
    """Leaves the mean of dy in dx, where x has rank 2."""

    family, killed_by, path = "layout", ("layout.joined_axes",), "rank 2, dx"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        dx = super().training_dx(dy, zhat, inv_std)
        return dx + self.gamma() * inv_std * self.average(dy) if dy.ndim == 2 else dx


class LastChannelByItsNeighbour(FullLayer):
    """Scales the last channel by the gamma of the one before."""

    family, killed_by = "layout", ("layout.channels_permute",)

    def gamma(self) -> Array:
        gamma = super().gamma().reshape(-1).copy()
        gamma[-1:] = gamma[-2:-1] if gamma.size > 1 else gamma
        return self.broad(gamma)


class FirstChannelsRunningMeanSpreads(FullLayer):
    """Moves every running mean by a sixty-fourth of the first channel's batch mean."""

    family, killed_by = "layout", ("layout.channels_permute",)

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        return super().new_mean(old, mean + mean.reshape(-1)[0] / 64, count)


class ViewsMeanOfTheirFirstRow(FullLayer):
    """Takes the mean of a view from its first and last rows alone."""

    family, killed_by, path = "layout", ("layout.copies",), "x is a view"
    view = False

    def values(self, array: Array) -> Array:
        self.view = not array.flags.c_contiguous
        return super().values(array)

    def training_statistics(self, x: Array) -> Moments:
        mean, var = super().training_statistics(x)
        return (self.broad(self.lanes(x)[:, [0, -1]].mean(axis=1)) if self.view and x.size else mean), var


class ViewOfTheCotangentHalved(FullLayer):
    """Halves a cotangent that is a view."""

    family, killed_by, path = "layout", ("layout.copies",), "dy is a view"

    def cotangent(self, dy: Array) -> Array:
        return super().cotangent(dy) * self.work.type(1 if dy.flags.c_contiguous else 0.5)
