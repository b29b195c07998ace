"""Mutants of the forward pass: statistics, epsilon, scale and shift, inference."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.mutants.plain import PlainLayer

Array = Any


class EpsilonOutsideRoot(PlainLayer):
    """Adds epsilon to the standard deviation: 1 / (sqrt(var) + epsilon)."""

    family, killed_by = "epsilon", ("epsilon.inside_root_in_training", "epsilon.inside_root_in_inference")

    def inv_std(self, var: Array) -> Array:
        return 1 / (np.sqrt(var) + self.work.type(self.config.epsilon))


class EpsilonAsFloor(PlainLayer):
    """Takes the larger of variance and epsilon in place of their sum."""

    family, killed_by = "epsilon", ("epsilon.inside_root_in_training", "epsilon.inside_root_in_inference")

    def inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(np.maximum(var, self.work.type(self.config.epsilon)))


class EpsilonClamped(PlainLayer):
    """Raises epsilon to 1.001e-5 without saying so."""

    family, killed_by = "epsilon", ("epsilon.as_given",)

    def inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var + self.work.type(max(self.config.epsilon, 1.001e-5)))


class EpsilonMissingInInference(PlainLayer):
    """Forgets epsilon in inference."""

    family, killed_by = "epsilon", ("epsilon.inside_root_in_inference", "epsilon.as_given")

    def inference_inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(var)


class OnePassVariance(PlainLayer):
    """Computes the variance as E[x^2] - E[x]^2, clipped at 0."""

    family, killed_by = "training", ("training.output_is_stable", "running.statistics_are_stable")

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean = x.mean(axis=self.axes, keepdims=True)
        return mean, np.maximum(np.square(x).mean(axis=self.axes, keepdims=True) - np.square(mean), 0)


class OnePassVarianceUnclipped(PlainLayer):
    """Computes the variance as E[x^2] - E[x]^2, which rounding makes negative."""

    family, killed_by = "training", ("training.finite", "running.var_not_negative")

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean = x.mean(axis=self.axes, keepdims=True)
        return mean, np.square(x).mean(axis=self.axes, keepdims=True) - np.square(mean)


class SampleVarianceNormalises(PlainLayer):
    """Normalises by the unbiased variance."""

    family, killed_by = "training", ("training.output",)

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        mean, var = self.moments(x)
        return mean, self.corrected(var, self.count(x))


class RunningStatisticsInTraining(PlainLayer):
    """Normalises in training by the running statistics."""

    family, killed_by = "training", ("training.output", "training.ignores_running_state")

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        return self.wide(self.mean), self.wide(self.var)


class BatchStatisticsInInference(PlainLayer):
    """Normalises in inference by the batch's own statistics."""

    family, killed_by = "inference", ("inference.output", "inference.value_is_independent_of_batch")

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        return self.moments(x)


class StaleFoldedInference(PlainLayer):
    """Folds scale and shift at the first inference and never again."""

    family, killed_by = "inference", ("inference.follows_training",)
    folded: Any = None

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        if self.folded is None:
            self.folded = self.wide(self.mean).copy(), self.wide(self.var).copy()
        return self.folded


class GammaReversed(PlainLayer):
    """Takes the scales in the reverse order."""

    family, killed_by = "affine", ("affine.per_channel",)

    def gamma(self) -> Array:
        return super().gamma().reshape(-1)[::-1].reshape(self.config.channel_shape)


class GammaAbsolute(PlainLayer):
    """Takes the size of gamma, not its sign."""

    family, killed_by = "affine", ("affine.per_channel",)

    def gamma(self) -> Array:
        return np.abs(super().gamma())


class DefaultShiftOfOne(PlainLayer):
    """Takes 1, not 0, for an absent beta."""

    family, killed_by = "affine", ("affine.absent_is_identity",)

    def beta(self) -> Array:
        return super().beta() + self.work.type(self.raw_beta is None)


class ZeroGammaIsOne(PlainLayer):
    """Takes a gamma of 0 for an absent one."""

    family, killed_by = "affine", ("affine.zero_gamma_gives_beta",)

    def gamma(self) -> Array:
        gamma = super().gamma()
        return np.where(gamma == 0, self.work.type(1), gamma)


class HalfAccumulator(PlainLayer):
    """Sums half-precision values in half precision."""

    family, killed_by = "dtype", ("dtype.half_is_as_exact_as_declared",)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        if self.config.dtype != "float16":
            return super().moments(x)
        half = x.astype(np.float16)
        mean = half.mean(axis=self.axes, keepdims=True, dtype=np.float16)
        var = np.square(half - mean).mean(axis=self.axes, keepdims=True, dtype=np.float16)
        return mean.astype(self.work), var.astype(self.work)


class LastRowDropped(PlainLayer):
    """Reduces whole blocks of 32 values only, once there are that many."""

    family, killed_by = "layout", ("layout.extents",)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        flat = np.moveaxis(x, self.config.channel_axis, 0).reshape(self.config.channels, -1)
        whole = flat.shape[1] if flat.shape[1] < 32 else flat.shape[1] // 32 * 32
        shape = self.config.channel_shape
        mean = flat[:, :whole].mean(axis=1)
        var = np.square(flat[:, :whole] - mean[:, None]).mean(axis=1)
        return mean.reshape(shape), var.reshape(shape)


class NanDropped(PlainLayer):
    """Leaves NaN out of the statistics."""

    family, killed_by = "special", ("special.nan_is_not_hidden",)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean = np.nanmean(x, axis=self.axes, keepdims=True)
        return mean, np.nanmean(np.square(x - mean), axis=self.axes, keepdims=True)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return np.nan_to_num(super().output(x, mean, inv_std))


class InfinityClipped(PlainLayer):
    """Takes a variance that is not finite for 0."""

    family, killed_by = "special", ("special.infinity_is_not_hidden",)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        return np.where(np.isinf(mean), 0, mean), np.where(np.isinf(mean), 0, var)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return np.where(np.isinf(x), self.beta(), super().output(x, mean, inv_std))


class NanSpreads(PlainLayer):
    """A NaN in one channel reaches the shift of all."""

    family, killed_by = "special", ("special.channels_are_isolated",)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return super().output(x, mean, inv_std) + self.work.type(0) * mean.sum()


MUTANTS = tuple(v for v in list(globals().values()) if isinstance(v, type) and issubclass(v, PlainLayer) and v.family)
