"""Mutants of input normalization: fitting and merging."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.scaler import MissingScaler, PlainScaler

Array = Any
Merged = Tuple[int, Array, Array]

CHUNKS, FIT, EMPTY = ("input.chunks_do_not_matter",), ("input.fit",), ("input.empty_chunk_changes_nothing",)
STABLE = ("input.fit_is_stable",)


MISSING = ("input.missing_values_are_left_out",)


class ChunkVariancesAveraged(PlainScaler):
    """Forgets the spread between chunks."""

    family, killed_by, path = "input", CHUNKS, "several chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, new, _ = super().merged(count, mean, squares, chunk)
        return total, new, squares + self.spread(chunk, self.average(chunk))


class SquaresOverwritten(PlainScaler):
    """Keeps the last chunk's squared deviations alone."""

    family, killed_by, path = "input", CHUNKS, "several chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        return super().merged(count, mean, squares * 0, chunk)


class DistanceToTheUpdatedMean(PlainScaler):
    """Measures a chunk's distance from the mean that already contains it."""

    family, killed_by, path = "input", CHUNKS, "several chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, new, _ = super().merged(count, mean, squares, chunk)
        n, own = self.size(chunk), self.average(chunk)
        between = np.square(own - new) * self.work.type(count * n / total)
        return total, new, squares + self.spread(chunk, own) + between


class ChunksWeighEqually(PlainScaler):
    """Averages the means of chunks whatever their sizes."""

    family, killed_by, path = "input", CHUNKS, "chunks of unequal sizes"
    parts = 0

    def fit(self, chunks: Sequence[Array]) -> None:
        self.parts = 0
        super().fit(chunks)

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, _, spread = super().merged(count, mean, squares, chunk)
        self.parts += 1
        return total, mean + (self.average(chunk) - mean) / self.work.type(self.parts), spread


class WeightInIntegers(PlainScaler):
    """Divides the counts as whole numbers, so that a chunk's weight is 0 or 1."""

    family, killed_by, path = "input", CHUNKS, "several chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, _, spread = super().merged(count, mean, squares, chunk)
        return total, mean + (self.average(chunk) - mean) * (self.size(chunk) // total), spread


class BetweenCountedTwice(PlainScaler):
    """Weighs the distance of the means by n in place of count n / total."""

    family, killed_by, path = "input", CHUNKS, "several chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, new, spread = super().merged(count, mean, squares, chunk)
        extra = self.work.type(self.size(chunk) - count * self.size(chunk) / total) if count else self.work.type(0)
        return total, new, spread + np.square(self.average(chunk) - mean) * extra


class LastChunkDropped(PlainScaler):
    """Leaves out the last of several chunks."""

    family, killed_by, path = "input", CHUNKS, "several chunks"

    def fit(self, chunks: Sequence[Array]) -> None:
        filled = [c for c in chunks if c.size]
        super().fit(filled[:-1] if len(filled) > 1 else filled)


class ChunksOfOneSkipped(PlainScaler):
    """Skips chunks of a single row, whose variance it cannot take."""

    family, killed_by, path = "input", CHUNKS, "a chunk of one row"

    def fit(self, chunks: Sequence[Array]) -> None:
        many = [c for c in chunks if len(c) > 1]
        super().fit(many or chunks)


class RowsBeyondABlockDropped(PlainScaler):
    """Takes a long chunk in blocks of 32 rows, and drops the rows that are left."""

    family, killed_by, path = "input", CHUNKS, "chunks of more than 32 rows, no multiple of 32"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([c[: len(c) // 32 * 32] if len(c) > 32 else c for c in chunks])


class LastBlockOfALargeSetLost(PlainScaler):
    """Cuts an array into blocks of 1,024 rows, and loses the last one where it is not full."""

    family, killed_by, path = "input", FIT, "one array of more than 1,024 rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        if len(chunks) == 1 and len(chunks[0]) > 1024:
            (whole,) = chunks
            chunks = [whole[k : k + 1024] for k in range(0, len(whole) - 1023, 1024)]
        super().fit(chunks)


class RemainderWeighsAsAFullChunk(PlainScaler):
    """Weighs a short last chunk as the ones before it, where these are long."""

    family, killed_by, path = "input", CHUNKS, "a remainder after chunks of at least 32 rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        first, last = chunks[0], chunks[-1]
        if len(chunks) > 1 and len(first) >= 32 and 0 < len(last) < len(first):
            repeated = np.resize(np.arange(len(last)), len(first))
            chunks = [*chunks[:-1], last[repeated]]
        super().fit(chunks)


class LaterChunksForgetTheFirst(PlainScaler):
    """Keeps the first chunk's mean when there are more than two chunks."""

    family, killed_by, path = "input", CHUNKS, "more than two chunks"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        filled = [c for c in chunks if c.size]
        if len(filled) > 2:
            self.mean = self.average(filled[0].astype(self.work))


class EmptyChunkGivesNan(PlainScaler):
    """Takes the mean of a chunk without rows."""

    family, killed_by, path = "input", EMPTY, "a chunk without rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        if any(not c.size for c in chunks):
            self.mean = self.mean + self.work.type(np.nan)


class EmptyChunkCountsAsRow(PlainScaler):
    """Counts a chunk without rows as one row."""

    family, killed_by, path = "input", EMPTY, "a chunk without rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        empty = sum(not c.size for c in chunks)
        self.mean = self.mean * self.work.type(self.count / (self.count + empty))


class EmptyChunkRefused(PlainScaler):
    """Raises for a chunk without rows."""

    family, killed_by, path = "input", EMPTY, "a chunk without rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        if any(not c.size for c in chunks):
            raise ValueError("a chunk has no rows")
        super().fit(chunks)


class FitEndsAtEmptyChunk(PlainScaler):
    """Takes a chunk without rows for the end of the stream."""

    family, killed_by, path = "input", EMPTY, "a chunk without rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        chunks = list(chunks)
        end = next((k for k, c in enumerate(chunks) if k and not c.size), len(chunks))
        super().fit(chunks[:end] if any(c.size for c in chunks[:end]) else chunks)


class SampleVarianceFitted(PlainScaler):
    """Divides the squared deviations by m - 1."""

    family, killed_by = "input", FIT

    def variance(self, squares: Array, count: int) -> Array:
        return super().variance(squares, max(count - 1, min(count, 1)))


class OnePassFit(PlainScaler):
    """Fits by E[x^2] - E[x]^2."""

    family, killed_by = "input", STABLE

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        filled = [c.astype(self.work) for c in chunks if c.size]
        count = self.work.type(sum(self.size(c) for c in filled))
        mean, square = (
            sum(v.sum(axis=self.axes, keepdims=True) for v in w) / count for w in (filled, map(np.square, filled))
        )
        self.mean, self.var = mean, np.maximum(square - np.square(mean), 0)


class FitContinues(PlainScaler):
    """Keeps the rows of an earlier fit."""

    family, killed_by, path = "input", FIT, "second fit"
    earlier: Tuple[Array, ...] = ()

    def fit(self, chunks: Sequence[Array]) -> None:
        self.earlier = (*self.earlier, *(c.copy() for c in chunks))
        super().fit(self.earlier)


class FirstFitKept(PlainScaler):
    """Ignores a second fit's mean."""

    family, killed_by, path = "input", FIT, "second fit"
    first: Any = None

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        self.first = self.mean + 0 * self.mean if self.first is None else self.first * self.work.type(1.5)
        self.mean = self.first


class ImagesFittedByRow(PlainScaler):
    """Forgets an inner axis of images in the variance."""

    family, killed_by, path = "input", (*FIT, *CHUNKS), "rank 4"

    def spread(self, chunk: Array, mean: Array) -> Array:
        if chunk.ndim < 4:
            return super().spread(chunk, mean)
        return super().spread(chunk, chunk.mean(axis=self.axes[:-1], keepdims=True))


class FitInHalf(PlainScaler):
    """Keeps the fitted mean in float16."""

    family, killed_by = "input", (*STABLE, *FIT)

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        self.mean = self.mean.astype(np.float16).astype(self.work)


class DoubleFittedInFloat(PlainScaler):
    """Fits float64 data in float32."""

    family, killed_by, path = "input", (*STABLE, *FIT), "float64"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([c.astype(np.float32) for c in chunks])


class FitWritesIntoChunks(PlainScaler):
    """Centres each chunk in place."""

    family, killed_by = "purity", ("purity.arguments",)

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        for chunk in chunks:
            chunk -= self.mean.astype(chunk.dtype)


class MissingChunkPoisons(MissingScaler):
    """Averages a chunk in which a feature is missing altogether: 0/0 enters its mean."""

    family, killed_by, path = "input", MISSING, "a chunk without values of a feature"

    def fit(self, chunks: Any) -> None:
        super().fit(chunks)
        gone = [any(len(p[c]) == 0 for p in map(self.there, chunks)) for c in range(self.config.channels)]
        self.mean = np.where(np.reshape(gone, self.mean.shape), np.nan, self.mean).astype(self.work)


class MissingCountsAsZero(MissingScaler):
    """Takes 0 for what is missing."""

    family, killed_by, path = "input", MISSING, "missing values"

    def fit(self, chunks: Any) -> None:
        super().fit([np.where(np.isnan(c), c.dtype.type(0), c) for c in chunks])


class MomentsOfIntegersCut(PlainScaler):
    """Cuts the statistics of integers to integers."""

    family, killed_by, path = "dtype", ("dtype.integers_become_floating",), "integers"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        if chunks[0].dtype.kind in "iu":
            self.mean, self.var = np.trunc(self.mean), np.trunc(self.var)


class ChunksAfterTheSixthDropped(PlainScaler):
    """Fits the first six chunks."""

    family, killed_by, path = "input", ("input.chunks_do_not_matter",), "more than 6 chunks"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(list(chunks)[:6])


class NanFittedAsZero(PlainScaler):
    """Takes NaN in the training set for 0."""

    family, killed_by, path = "input", ("input.fit", "input.chunks_do_not_matter"), "NaN in the training set"
    escapes = "only scalers that declare to leave missing values out are given any"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([np.nan_to_num(c) for c in chunks])


class FirstChunkWithoutRowsCounts(PlainScaler):
    """Counts one row more where the first chunk has none."""

    family, killed_by = "input", ("input.empty_chunk_changes_nothing",)
    path = "a first chunk without rows"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        if len(chunks) and not chunks[0].size and self.count:
            self.var = self.var * self.work.type(self.count / (self.count + 1))


class SequencesFittedAtTheirEnd(PlainScaler):
    """Fits sequences at their last position alone."""

    family, killed_by = "input", ("input.fit", "input.chunks_do_not_matter")
    path = "sequences"

    def lanes(self, chunk: Array) -> Array:
        return super().lanes(chunk[:, :, -1:] if chunk.ndim == 3 and self.config.channel_axis == 1 else chunk)

    def size(self, chunk: Array) -> int:
        return chunk.shape[0] if chunk.ndim == 3 and self.config.channel_axis == 1 else super().size(chunk)


class ColumnsReadAsRows(PlainScaler):
    """Reads a table in memory by columns as one by rows, in the fit."""

    family, killed_by = "input", ("input.fit", "input.chunks_do_not_matter")
    path = "chunks in columns"

    def lanes(self, chunk: Array) -> Array:
        table = chunk.ndim == 2 and chunk.flags.f_contiguous and not chunk.flags.c_contiguous
        return super().lanes(chunk.T.reshape(chunk.shape) if table else chunk)


class OutliersLeftOut(PlainScaler):
    """Fits each chunk without the values beyond six standard deviations."""

    family, killed_by, path = "input", ("input.fit",), "a value beyond six standard deviations"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([self.trimmed(c) for c in chunks])

    def trimmed(self, chunk: Array) -> Array:
        """The chunk, with the mean in the place of what lies far outside."""
        if not chunk.size:
            return chunk
        mean = chunk.mean(axis=self.axes, keepdims=True)
        far = np.abs(chunk - mean) > 6 * chunk.std(axis=self.axes, keepdims=True)
        return np.where(far, mean, chunk).astype(chunk.dtype)


class EqualChunksMissTheSpread(PlainScaler):
    """Takes the mean of both variances where a chunk has as many rows as there were before it."""

    family, killed_by, path = "input", CHUNKS, "two equal chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, new, merged = super().merged(count, mean, squares, chunk)
        alike = count == self.size(chunk) > 1
        return total, new, squares + self.spread(chunk, self.average(chunk)) if alike else merged


class LastFeaturesOfManyGrow(PlainScaler):
    """Divides the variances of what is left beyond 16 features by one less."""

    family, killed_by, path = "input", FIT, "more than 16 features"

    def variance(self, squares: Array, count: int) -> Array:
        var = super().variance(squares, count).copy()
        left = self.config.channels % 16 if self.config.channels > 16 else 0
        if left and count > 1:
            var.reshape(-1)[-left:] *= self.work.type(count / (count - 1))
        return var


class IntegersSummedIn16Bits(PlainScaler):
    """Adds whole numbers in 16 bits."""

    family, killed_by, path = "dtype", ("dtype.integers_become_floating",), "many integers"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        if any(c.dtype.kind in "iu" for c in chunks):
            total = sum(self.lanes(c).astype(np.int16).sum(axis=1, dtype=np.int16) for c in chunks)
            self.mean = (np.asarray(total, np.int16) / self.work.type(self.count)).reshape(self.mean.shape)


class EmptyFitKeepsTheOldOne(PlainScaler):
    """Keeps its statistics, without an error, when it is fitted again on no rows."""

    family, killed_by, path = "input", ("input.nothing_to_fit",), "fitted before"
    mean: Any = None

    def fit(self, chunks: Sequence[Array]) -> None:
        if self.mean is None or any(c.size for c in chunks):
            super().fit(chunks)


class CountsMultipliedIn16Bits(PlainScaler):
    """Multiplies the counts of two chunks in 16 bits."""

    family, killed_by, path = "input", CHUNKS, "two large chunks"

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Merged:
        total, new, merged = super().merged(count, mean, squares, chunk)
        surplus = count * self.size(chunk) // 65536 * 65536
        return total, new, merged - np.square(self.average(chunk) - mean) * self.work.type(surplus / total)


class RepeatedChunkSkipped(PlainScaler):
    """Takes a chunk that equals the one before for the same."""

    family, killed_by, path = "input", (*FIT, *CHUNKS, *STABLE), "one chunk twice in turn"

    def fit(self, chunks: Sequence[Array]) -> None:
        pairs = zip([None, *chunks], chunks)
        super().fit([c for before, c in pairs if before is None or not np.array_equal(before, c)])


class ChunksBeyondTheEighthLost(PlainScaler):
    """Has room for eight chunks."""

    family, killed_by, path = "input", (*FIT, *CHUNKS, *STABLE), "more than eight chunks"

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit([c for c in chunks if c.size][:8])


class ConstantInTheFirstChunkIsConstant(PlainScaler):
    """Divides a feature by 1 that is constant in the first of several chunks."""

    family, killed_by, path = "input", ("input.transform",), "a feature that is constant in the first chunk"
    still: Any = False

    def fit(self, chunks: Sequence[Array]) -> None:
        super().fit(chunks)
        rows = self.lanes(chunks[0].astype(self.work)) if len(chunks) > 1 and chunks[0].shape[0] > 1 else None
        self.still = False if rows is None else (np.ptp(rows, axis=1) == 0).reshape(self.config.channel_shape)

    def scale(self) -> Array:
        return np.where(self.still, self.work.type(1), super().scale())
