"""Mutants of input normalization: the transform, its inverse, and constant features."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from bnspec.conformance.selftest.reference.scaler import PlainScaler

Array = Any

TRANSFORM, INVERSE, KEEPS = ("input.transform",), ("input.inverse",), ("input.keeps_statistics",)
CONSTANT = ("input.constant_feature_is_finite",)


class InverseAddsFirst(PlainScaler):
    """Computes (y + mean) * std."""

    family, killed_by = "input", INVERSE

    def inverse(self, y: Array) -> Array:
        return ((y.astype(self.work) + self.mean) * self.scale()).astype(y.dtype)


class InverseMultipliesVariance(PlainScaler):
    """Computes y * var + mean."""

    family, killed_by = "input", INVERSE

    def inverse(self, y: Array) -> Array:
        return (y.astype(self.work) * self.var + self.mean).astype(y.dtype)


class InverseForgetsTheMean(PlainScaler):
    """Computes y * std."""

    family, killed_by = "input", INVERSE

    def inverse(self, y: Array) -> Array:
        return (y.astype(self.work) * self.scale()).astype(y.dtype)


class InverseDivides(PlainScaler):
    """Computes y / std + mean."""

    family, killed_by = "input", INVERSE

    def inverse(self, y: Array) -> Array:
        return (y.astype(self.work) / self.scale() + self.mean).astype(y.dtype)


class InverseOfConstantsIsZero(PlainScaler):
    """Multiplies constant features by their standard deviation, 0, which the transform does not divide by."""

    family, killed_by, path = "input", INVERSE, "a constant feature"

    def inverse(self, y: Array) -> Array:
        return (y.astype(self.work) * np.sqrt(self.var) + self.mean).astype(y.dtype)


class InverseClipsToTheTrainingRange(PlainScaler):
    """Clips what the inverse returns to within two standard deviations of the mean."""

    family, killed_by, path = "input", INVERSE, "|y| above 2"

    def inverse(self, y: Array) -> Array:
        return super().inverse(np.clip(y, -2, 2))


class InverseMovesMean(PlainScaler):
    """Leaves the mean shifted after an inverse."""

    family, killed_by, path = "input", KEEPS, "after an inverse"

    def inverse(self, y: Array) -> Array:
        x = super().inverse(y)
        self.mean = self.mean * self.work.type(1.25)
        return x


class TransformRefits(PlainScaler):
    """Centres unseen data by their own mean."""

    family, killed_by, path = "input", TRANSFORM, "unseen data"

    def transform(self, x: Array) -> Array:
        wide = x.astype(self.work)
        return ((wide - self.average(wide)) / self.scale()).astype(x.dtype)


class TransformMovesStatistics(PlainScaler):
    """Goes on averaging in the transform."""

    family, killed_by, path = "input", KEEPS, "after a transform"

    def transform(self, x: Array) -> Array:
        y = super().transform(x)
        self.mean = self.mean + (self.average(x.astype(self.work)) - self.mean) * self.work.type(0.1)
        return y


class TransformDividesByVariance(PlainScaler):
    """Computes (x - mean) / var."""

    family, killed_by = "input", TRANSFORM

    def transform(self, x: Array) -> Array:
        scale = np.where(self.var <= self.noise(), self.work.type(1), self.var)
        return ((x.astype(self.work) - self.mean) / scale).astype(x.dtype)


class TransformMultiplies(PlainScaler):
    """Computes (x - mean) * std."""

    family, killed_by = "input", TRANSFORM

    def transform(self, x: Array) -> Array:
        return ((x.astype(self.work) - self.mean) * self.scale()).astype(x.dtype)


class TransformAddsEpsilon(PlainScaler):
    """Adds 1e-5 to the variance, and does not declare it."""

    family, killed_by = "input", TRANSFORM

    def scale(self) -> Array:
        return np.sqrt(self.var + self.work.type(1e-5))


class TransformByTheFirstFeature(PlainScaler):
    """Divides all features by the first one's standard deviation."""

    family, killed_by, path = "input", TRANSFORM, "several features"

    def scale(self) -> Array:
        return np.full_like(super().scale(), super().scale().reshape(-1)[0])


class UnseenDataClipped(PlainScaler):
    """Clips the transformed values to the range of -3 to 3."""

    family, killed_by, path = "input", TRANSFORM, "|y| above 3"

    def transform(self, x: Array) -> Array:
        return np.clip(super().transform(x), -3, 3)


class MeanOfRankTwoOnly(PlainScaler):
    """Does not centre images."""

    family, killed_by, path = "input", TRANSFORM, "rank 4"

    def transform(self, x: Array) -> Array:
        y = super().transform(x)
        return y + (self.mean / self.scale()).astype(y.dtype) if x.ndim == 4 else y


class TransformInPlace(PlainScaler):
    """Writes the transformed values into x and returns it."""

    family, killed_by = "purity", ("purity.arguments", "purity.results_are_new")

    def transform(self, x: Array) -> Array:
        x[...] = super().transform(x)
        return x


class TransformCachedByShape(PlainScaler):
    """Keeps the result of a transform by the number of rows, and returns it for other data."""

    family, killed_by, path = "input", TRANSFORM, "a repeated shape"
    kept: Any = None

    def transform(self, x: Array) -> Array:
        y = super().transform(x)
        if self.kept is None:
            self.kept = y
        rows = min(len(y), len(self.kept))
        return np.concatenate([self.kept[:rows], y[rows:]])


class AbsoluteThreshold(PlainScaler):
    """Takes a feature whose variance is below 1e-8 for constant, whatever its unit."""

    family, killed_by, path = "input", TRANSFORM, "small variance"

    def scale(self) -> Array:
        return np.where(self.var < 1e-8, self.work.type(1), np.sqrt(self.var))


class NoiseTakenForSpread(PlainScaler):
    """Divides by the standard deviation whenever it is not exactly 0."""

    family, killed_by, path = "input", CONSTANT, "a constant feature, summed with rounding"

    def noise(self) -> Array:
        return np.zeros_like(self.var)

    def fit(self, chunks: Any) -> None:
        super().fit(chunks)
        ulp = np.spacing(np.abs(self.mean)).astype(self.work)
        self.mean = np.where(self.var <= super().noise(), self.mean + ulp, self.mean)
        self.var = np.where(self.var == 0, np.square(ulp) / 4, self.var)


class ConstantsDividedByZero(PlainScaler):
    """Divides constant features by 0."""

    family, killed_by, path = "input", CONSTANT, "a constant feature"

    def scale(self) -> Array:
        with np.errstate(all="ignore"):
            return np.sqrt(self.var)


class ConstantsDividedByTiny(PlainScaler):
    """Divides constant features by 1e-20, so that unseen values overflow."""

    family, killed_by, path = "input", (*CONSTANT, *TRANSFORM), "a constant feature"

    def scale(self) -> Array:
        return np.sqrt(self.var) + self.work.type(1e-20)


class IdentityBeforeAFit(PlainScaler):
    """Has the mean 0 and the variance 1 before it is fitted."""

    family, killed_by = "input", ("input.transform_needs_a_fit",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.count, self.mean = 1, np.zeros(config.channel_shape, self.work)
        self.var = self.mean + self.work.type(1)


class SecondInverseDoubled(PlainScaler):
    """Doubles what the second inverse returns."""

    family, killed_by, path = "input", ("input.inverse", "input.keeps_statistics"), "second inverse"
    inverses = 0

    def inverse(self, y: Array) -> Array:
        self.inverses += 1
        return super().inverse(y) * (2 if self.inverses > 1 else 1)


class HalfTransformDoubled(PlainScaler):
    """Doubles what it transforms in half precision."""

    family, killed_by, path = "input", ("input.transform",), "half precision"

    def transform(self, x: Array) -> Array:
        return super().transform(x) * (2 if self.config.dtype.endswith("16") else 1)


class SingleRowNormalisedByItself(PlainScaler):
    """Centres an image that comes alone by its own mean."""

    family, killed_by, path = "input", ("input.transform",), "one row of later data"

    def transform(self, x: Array) -> Array:
        if x.shape[0] != 1 or x.ndim == 2:
            return super().transform(x)
        wide = x.astype(self.work)
        return ((wide - self.average(wide)) / self.scale()).astype(x.dtype)


class TransformedIntegersTruncated(PlainScaler):
    """Casts what it transforms back to the dtype of integers."""

    family, killed_by, path = "dtype", ("dtype.integers_become_floating",), "integers to transform"

    def transform(self, x: Array) -> Array:
        return np.trunc(super().transform(x)) if x.dtype.kind in "iu" else super().transform(x)


class OneRowDividedByZero(PlainScaler):
    """Takes the deviation of a training set of one row, 0, for its scale."""

    family, killed_by, path = "input", ("input.constant_feature_is_finite",), "a training set of one row"

    def scale(self) -> Array:
        return np.sqrt(self.var) if self.count == 1 else super().scale()


class InverseIsClipped(PlainScaler):
    """Takes values beyond eight standard deviations for eight in the inverse."""

    family, killed_by, path = "input", INVERSE, "far values"

    def inverse(self, y: Array) -> Array:
        return super().inverse(np.clip(y, -8, 8))


class NeutralTransformReturnsX(PlainScaler):
    """Returns x itself where there is nothing to do."""

    family, killed_by, path = "purity", ("purity.results_are_new",), "a mean of 0 and a variance of 1"

    def transform(self, x: Array) -> Array:
        neutral = not self.mean.any() and (self.var == 1).all()
        return x if neutral and x.dtype == self.work else super().transform(x)


class InverseOfTheFirstFit(PlainScaler):
    """Inverts by the scale of its first fit."""

    family, killed_by, path = "input", INVERSE, "fitted again"
    first: Any = None

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        self.first = self.scale() if self.first is None else self.first

    def inverse(self, y: Array) -> Array:
        return (y.astype(self.work) * self.first + self.mean).astype(y.dtype)


class ConstantFeatureBelowZeroIsScaled(PlainScaler):
    """Takes rounding noise to be a share of the mean, which below 0 is none."""

    family, killed_by, path = "input", CONSTANT, "a constant feature below 0"

    def noise(self) -> Array:
        return np.where(self.mean < 0, 0, super().noise()).astype(self.work)


class SmallVarianceOfDoublesIsNoise(PlainScaler):
    """Takes a variance of doubles below 1e-20 for that of a constant feature."""

    family, killed_by, path = "input", TRANSFORM, "float64, small spreads"

    def noise(self) -> Array:
        return np.maximum(super().noise(), 1e-20) if self.work == np.float64 else super().noise()


class ScaleFoundOnTheWidth(PlainScaler):
    """Divides images along the width where its extent is that of the features, which are last."""

    family, killed_by, path = "input", TRANSFORM, "images, extents that coincide"

    def transform(self, x: Array) -> Array:
        if x.ndim != 4 or self.config.channel_axis != 3 or x.shape[2] != self.config.channels:
            return super().transform(x)
        scale = self.scale().reshape(1, 1, -1, 1)
        return ((x.astype(self.work) - self.mean) / scale).astype(self.result_dtype(x))


class TwelfthTransformIsNotCentred(PlainScaler):
    """Forgets the mean at its twelfth transform."""

    family, killed_by, path = "input", (*TRANSFORM, *KEEPS), "twelve transforms"
    transforms = 0

    def transform(self, x: Array) -> Array:
        self.transforms += 1
        return super().transform(x if self.transforms != 12 else (x + self.mean).astype(x.dtype))
