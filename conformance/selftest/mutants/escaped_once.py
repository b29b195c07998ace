"""Mutants that escaped the suite once: each has widened it, or says why it still escapes."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainScaler

Array = Any


class FirstAxisParametersReversed(PlainLayer):
    """Takes the parameters in the reverse order where the channel axis is the first."""

    family, killed_by, path = "layout", ("layout.axis",), "channel axis 0"

    def wide(self, channels: Array) -> Array:
        wide = super().wide(channels)
        return wide.reshape(-1)[::-1].reshape(wide.shape) if self.config.channel_axis == 0 else wide


class EmptyBatchDecaysState(PlainLayer):
    """Averages the running statistics with 0 on an empty batch."""

    family, killed_by, path = "degenerate", ("degenerate.empty_batch",), "an empty batch"

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            self.store(self.wide(self.mean) * self.decay(), self.wide(self.var) * self.decay())
        return super().forward(x)


class CotangentNanHidden(PlainLayer):
    """Replaces NaN and infinity in dy by numbers."""

    family, killed_by, path = "special", ("special.cotangent_nan_is_not_hidden",), "NaN in dy"

    def cotangent(self, dy: Array) -> Array:
        return np.nan_to_num(super().cotangent(dy))


class ResultMemoryReused(PlainLayer):
    """Returns y in memory that the next call writes to."""

    family, killed_by, path = "purity", ("purity.results_stay",), "second call"
    scratch: Any = None

    def training(self, x: Array) -> Array:
        return self.reused(super().training(x))

    def inference(self, x: Array) -> Array:
        return self.reused(super().inference(x))

    def reused(self, y: Array) -> Array:
        """y, in the memory of the result before where it fits."""
        if self.scratch is None or self.scratch.shape != y.shape:
            self.scratch = np.empty_like(y)
        self.scratch[...] = y
        return self.scratch


class SecondInverseDoubled(PlainScaler):
    """Doubles what the second inverse returns."""

    family, killed_by, path = "input", ("input.inverse", "input.keeps_statistics"), "second inverse"
    inverses = 0

    def inverse(self, y: Array) -> Array:
        self.inverses += 1
        return super().inverse(y) * (2 if self.inverses > 1 else 1)


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


class HalfTransformDoubled(PlainScaler):
    """Doubles what it transforms in half precision."""

    family, killed_by, path = "input", ("input.transform",), "half precision"

    def transform(self, x: Array) -> Array:
        return super().transform(x) * (2 if self.config.dtype.endswith("16") else 1)
