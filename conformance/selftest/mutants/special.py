"""Mutants of special values and degenerate counts on a single path, and of input normalization in other units and far away."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.scaler import PlainScaler
from bnspec.contract import Gradients
from bnspec.model.buffers import dtype_of
from bnspec.model.call import TRAINING_MASKED

Array = Any
Moments = Tuple[Array, Array]


class ConstantChannelIsZero(FullLayer):
    """Returns 0 for beta where a channel is constant."""

    family, killed_by, path = "degenerate", ("degenerate.constant_channel",), "a constant channel"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        constant = np.ptp(self.lanes(x), axis=1) == 0 if x.size > self.config.channels else np.zeros(mean.size, bool)
        return np.where(self.broad(constant), self.work.type(0), y)


class ConstantChannelUnguarded(FullLayer):
    """Divides by the deviation alone in dgamma."""

    family, killed_by, path = "degenerate", ("degenerate.constant_channel",), "a constant channel, dgamma"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return np.where((zhat == 0).all(axis=self.axes), np.nan, dgamma), dbeta


class OneValuePassesTheCotangent(FullLayer):
    """Takes the statistics as constants in dx, where there is one value per channel."""

    family, killed_by = "degenerate", ("degenerate.gradients_of_count_one",)
    path = "one value per channel, dx"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        if self.count(dy) == 1:
            return self.inference_dx(dy, zhat, inv_std)
        return super().training_dx(dy, zhat, inv_std)


class OneValueScaleGradientIsDy(FullLayer):
    """Returns dbeta for dgamma, where there is one value per channel."""

    family, killed_by = "degenerate", ("degenerate.gradients_of_count_one",)
    path = "one value per channel, dgamma"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return (dbeta.copy() if self.count(dy) == 1 else dgamma), dbeta


class EmptyScaleGradientIsNan(FullLayer):
    """Returns a dgamma of NaN for an empty batch."""

    family, killed_by, path = "degenerate", ("degenerate.gradients_of_empty_batch",), "an empty batch"

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        found = super().gradients(x, y, dx, dgamma, dbeta)
        if x.size or found.dgamma is None:
            return found
        return found._replace(dgamma=np.full_like(found.dgamma, np.nan))


class EmptyShiftGradientUnwritten(FullLayer):
    """Leaves dbeta as the memory was for an empty batch in inference."""

    family, killed_by, path = "degenerate", ("degenerate.gradients_of_empty_batch",), "an empty batch, inference"

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().inference_gradients(x, dy)
        return found if x.size or found.dbeta is None else found._replace(dbeta=np.full_like(found.dbeta, 7))


class NegativeVarianceClipped(FullLayer):
    """Takes 0 for a running variance below it, in inference."""

    family, killed_by, path = "special", ("special.negative_variance_is_shown",), "a running variance below 0"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, np.where(var < 0, self.work.type(0), var)


class NegativeVarianceReflected(FullLayer):
    """Takes the root of |running variance + epsilon|."""

    family, killed_by, path = "special", ("special.negative_variance_is_shown",), "a running variance below -epsilon"

    def inference_inv_std(self, var: Array) -> Array:
        return 1 / np.sqrt(np.abs(var + self.epsilon()))


class NegativeVarianceGivesZero(FullLayer):
    """Returns beta where the running variance is below -epsilon."""

    family, killed_by, path = "special", ("special.negative_variance_is_shown",), "a running variance below -epsilon"

    def inference_inv_std(self, var: Array) -> Array:
        found = super().inference_inv_std(var)
        return np.where(var + self.epsilon() < 0, self.work.type(0), found)


class PoisonedStateHealed(FullLayer):
    """Starts the running average again from the batch's statistics where it was NaN."""

    family, killed_by, path = "special", ("special.poisoned_state",), "statistics that are NaN"

    def averaged(self, old: Array, new: Array) -> Array:
        return np.where(np.isnan(old), new, super().averaged(old, new))


class OverflowGivesBeta(FullLayer):
    """Returns beta all over a channel whose variance has overflowed."""

    family, killed_by, path = "special", ("special.overflow_is_not_finite",), "squares beyond the range"

    def inv_std(self, var: Array) -> Array:
        return np.where(np.isinf(var), self.work.type(0), super().inv_std(var))


class CotangentNanSkippedInTheShift(FullLayer):
    """Leaves NaN out of dbeta's sum."""

    family, killed_by, path = "special", ("special.cotangent_nan_is_not_hidden",), "NaN in dy"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, _ = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, np.nansum(dy, axis=self.axes)


class CotangentNanHiddenInInference(FullLayer):
    """Takes 0 for NaN in dx of inference."""

    family, killed_by, path = "special", ("special.cotangent_nan_is_not_hidden",), "NaN in dy, inference"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return np.nan_to_num(super().inference_dx(dy, zhat, inv_std))


class RunningVarianceInTheDtypeOfX(FullLayer):
    """Rounds the running variance to the dtype of x in inference."""

    family, killed_by = "dtype", ("dtype.parameters_are_not_narrowed",)
    path = "half-precision x, float32 statistics"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, var.astype(dtype_of(self.config.dtype)).astype(self.work)


class SmallVarianceIsAConstantFeature(PlainScaler):
    """Divides a feature by 1 whose variance is below 10^-3."""

    family, killed_by, path = "input", ("input.units_do_not_matter",), "a variance below 10^-3"

    def scale(self) -> Array:
        return np.where(self.var < 1e-3, self.work.type(1), super().scale())


class FitOfOtherUnitsFloored(PlainScaler):
    """Divides by at least 2^-9."""

    family, killed_by, path = "input", ("input.units_do_not_matter",), "a deviation below 2^-9"

    def scale(self) -> Array:
        return np.maximum(super().scale(), self.work.type(2.0**-9))


class NegativeUnitsLoseTheirSign(PlainScaler):
    """Takes |mean|."""

    family, killed_by, path = "input", ("input.units_do_not_matter",), "a mean below 0"

    def transform(self, x: Array) -> Array:
        return ((x.astype(self.work) - np.abs(self.mean)) / self.scale()).astype(x.dtype)


class FarValuesClipped(PlainScaler):
    """Clips to 10 deviations."""

    family, killed_by, path = "input", ("input.unseen_data",), "more than 10 deviations from the mean"

    def transform(self, x: Array) -> Array:
        return np.clip(super().transform(x), -10, 10)


class FarValuesMissing(PlainScaler):
    """Treats values 32 deviations from the mean as missing, and returns 0."""

    family, killed_by, path = "input", ("input.unseen_data",), "more than 32 deviations from the mean"

    def transform(self, x: Array) -> Array:
        y = super().transform(x)
        return np.where(np.abs(y.astype(self.work)) > 32, y.dtype.type(0), y).astype(y.dtype)


class ConstantFeatureIsZero(PlainScaler):
    """Returns 0 for a feature that was constant, even for later values."""

    family, killed_by, path = "input", ("input.constant_feature_keeps_its_unit",), "a constant feature, other data"

    def transform(self, x: Array) -> Array:
        y = super().transform(x)
        return np.where(self.var <= self.noise(), y.dtype.type(0), y).astype(y.dtype)


class ConstantFeatureDividedByItsValue(PlainScaler):
    """Divides a feature that was constant by its value, where that is not 0."""

    family, killed_by, path = "input", ("input.constant_feature_keeps_its_unit",), "a constant feature, other data"

    def scale(self) -> Array:
        value = np.where(self.mean == 0, self.work.type(1), np.abs(self.mean))
        return np.where(self.var <= self.noise(), value, super().scale())


class NothingFittedIsStandard(PlainScaler):
    """Takes mean 0 and variance 1 where there is nothing to fit."""

    family, killed_by, path = "input", ("input.nothing_to_fit",), "no rows"

    def variance(self, squares: Array, count: int) -> Array:
        return super().variance(squares, count) if count else np.ones_like(squares)


class NothingFittedHasNoVariance(PlainScaler):
    """Divides by at least 1, and takes mean and variance 0 where there is nothing to fit."""

    family, killed_by, path = "input", ("input.nothing_to_fit",), "no rows"

    def variance(self, squares: Array, count: int) -> Array:
        return super().variance(squares, max(count, 1))


class LongerChunksReplaceTheMean(PlainScaler):
    """Takes the mean of a chunk that is longer than all before for the mean of all."""

    family, killed_by, path = "input", ("input.merge_in_any_order",), "a longer chunk"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Tuple[int, Array, Array]:
        total, merged, squares = super().merged(count, mean, squares, chunk)
        return total, self.average(chunk) if 0 < count < self.size(chunk) else merged, squares


class LastChunkOfFiveDropped(PlainScaler):
    """Drops a last chunk of 5 rows or more where others came before."""

    family, killed_by, path = "input", ("input.merge_in_any_order",), "a last chunk of 5"

    def fit(self, chunks: Sequence[Array]) -> None:
        whole = list(chunks)
        super().fit(whole[:-1] if len(whole) > 1 and self.size(whole[-1]) >= 5 else whole)


class UndefinedShiftIsNone(FullLayer):
    """Takes 0 for a beta that is NaN."""

    family, killed_by, path = "special", ("special.parameters_are_not_hidden",), "a beta of NaN"

    def beta(self) -> Array:
        beta = super().beta()
        return np.where(np.isnan(beta), beta.dtype.type(0), beta)


class ScaleIsClamped(FullLayer):
    """Keeps gamma within 1,000 times 1."""

    family, killed_by, path = "special", ("special.parameters_are_not_hidden",), "a large gamma"

    def gamma(self) -> Array:
        return np.clip(super().gamma(), -1000, 1000)


class UndefinedVarianceIsOne(FullLayer):
    """Takes 1 for a running variance that is NaN, in inference."""

    family, killed_by, path = "special", ("special.parameters_are_not_hidden",), "a running variance of NaN"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, np.where(np.isnan(var), var.dtype.type(1), var)


class NanBesidePaddingIsZero(FullLayer):
    """Replaces NaN by 0 in a batch with padding, wherever it is."""

    family, killed_by = "special", ("special.nan_is_not_hidden", "special.nan_reaches_running_statistics")
    path, calls = "a mask, NaN where it keeps", (TRAINING_MASKED,)

    def training_masked(self, x: Array, mask: Array) -> Array:
        return super().training_masked(np.nan_to_num(x), mask)


class RepeatedMemoryCountsOnce(PlainScaler):
    """Takes a chunk that is the memory of an earlier one for the same."""

    family, killed_by, path = "input", ("input.chunks_do_not_matter", "input.fit_is_stable"), "one array twice"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(list({c.__array_interface__["data"][0]: c for c in chunks if c.size}.values()))


class LongChunkHalvesTheMeanBefore(PlainScaler):
    """Halves the weight of the rows before a chunk that is more than eight times as long."""

    family, killed_by, path = (
        "input",
        ("input.chunks_do_not_matter", "input.fit_is_stable"),
        "a long chunk after a short one",
    )

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Tuple[int, Array, Array]:
        total, merged, squares = super().merged(count, mean, squares, chunk)
        if not 0 < 8 * count < self.size(chunk):
            return total, merged, squares
        own = self.average(chunk)
        return total, own + (mean - own) * self.work.type(count / 2 / total), squares
