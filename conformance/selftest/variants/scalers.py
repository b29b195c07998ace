"""Variants of input normalization."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.scaler import MissingScaler, PlainScaler

Array = Any
Merged = Tuple[int, Array, Array]


class ScalerUnchanged(PlainScaler):
    """The plain scaler itself: the null test."""


class ScalerAtOnce(PlainScaler):
    """Joins the chunks and takes the moments of the whole."""

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([np.concatenate(list(chunks), axis=0)])


class ScalerInDouble(PlainScaler):
    """Fits and transforms in float64."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.work = np.dtype("float64")

    def noise(self) -> Array:
        reach = self.work.type(self.count * np.finfo("float64" if self.config.dtype == "float64" else "float32").eps)
        return reach * self.var + np.square(reach * self.mean)


class ScalerByRows(PlainScaler):
    """Merges row by row, as a stream comes."""

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([chunk[k : k + 1] for chunk in chunks for k in range(len(chunk))])


class ScalerByBlocks(PlainScaler):
    """Cuts every chunk into blocks of 32 rows and a remainder, and merges those."""

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([c[k : k + 32] for c in chunks for k in range(0, len(c), 32)])


class ScalerByWelford(PlainScaler):
    """Updates mean and squared deviations value by value."""

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        lanes = np.moveaxis(chunk, self.config.channel_axis, 0).reshape(self.config.channels, -1)
        flat, spread = mean.reshape(-1), squares.reshape(-1)
        for column in lanes.T:
            count += 1
            delta = column - flat
            flat = flat + delta / self.work.type(count)
            spread = spread + delta * (column - flat)
        return count, flat.reshape(mean.shape), spread.reshape(mean.shape)


class ScalerMergesInATree(PlainScaler):
    """Takes the chunks' moments apart and merges the later chunks first."""

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(list(chunks)[::-1])


class ScalerByWeightedMeans(PlainScaler):
    """Averages means by counts: mean = (count * mean + n * own) / total."""

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, _, spread = super().merged(count, mean, squares, chunk)
        own = self.lanes(chunk).sum(axis=1).reshape(mean.shape)
        return total, (self.work.type(count) * mean + own) / self.work.type(total), spread


class ScalerMultiplies(PlainScaler):
    """Multiplies by the reciprocal of the standard deviation."""

    def transform(self, x: Array) -> Array:
        return ((x.astype(self.work) - self.mean) * (self.work.type(1) / self.scale())).astype(self.result_dtype(x))


class ScalerFolded(PlainScaler):
    """Transforms by one product and one sum: x * a + b."""

    def transform(self, x: Array) -> Array:
        scale = self.work.type(1) / self.scale()
        return (x.astype(self.work) * scale - self.mean * scale).astype(self.result_dtype(x))


class ScalerShiftedOnePass(PlainScaler):
    """Shifts by the first row of all and takes one pass over every chunk."""

    def fit(self, chunks: Sequence[Array]) -> None:
        whole = np.concatenate([c.astype(self.work) for c in chunks], axis=0)
        lanes = self.lanes(whole)
        moved = lanes - lanes[:, :1]
        mean = moved.mean(axis=1)
        self.count, shape = lanes.shape[1], self.config.channel_shape
        self.mean = (mean + lanes[:, 0]).reshape(shape)
        self.var = np.maximum(np.square(moved).mean(axis=1) - np.square(mean), 0).reshape(shape)


class ScalerLeavesOutMissing(MissingScaler):
    """Leaves out NaN, feature by feature."""


class ScalerAsksForAFit(PlainScaler):
    """Says so where it has not been fitted."""

    def transform(self, x: Array) -> Array:
        if not hasattr(self, "var"):
            raise ValueError("this scaler is not fitted yet")
        return super().transform(x)


class ConstantsInTwos(PlainScaler):
    """Divides what is constant in the training set by 2, and multiplies it by 2 in the inverse."""

    def scale(self) -> Array:
        return np.where(self.var <= self.noise(), self.work.type(2), np.sqrt(self.var))
