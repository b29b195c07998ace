"""The plain reference scaler, in small methods that mutants override; and the adapter of the plain layer and scaler."""

from __future__ import annotations

from typing import Any, Dict, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Adapter, Conventions, Layer, LayerConfig, Scaler, State
from bnspec.model.call import Call

Array = Any


class PlainScaler(Scaler):
    """Input normalization: merged moments of chunks; a feature with only rounding noise is divided by 1."""

    family = ""
    killed_by: Tuple[str, ...] = ()
    path = ""
    calls: Tuple[Call, ...] = ()
    escapes = ""
    declares: Dict[str, Any] = {}
    isolated = False

    def __init__(self, config: LayerConfig) -> None:
        self.config, self.axes = config, config.reduce_axes
        self.work = np.dtype("float64" if config.dtype == "float64" else "float32")

    def fit(self, chunks: Sequence[Array]) -> None:
        """Learn the statistics of all chunks."""
        zero = np.zeros(self.config.channel_shape, self.work)
        count, mean, squares = 0, zero, zero.copy()
        for chunk in (c.astype(self.work) for c in chunks if c.size):
            count, mean, squares = self.merged(count, mean, squares, chunk)
        self.count, self.mean, self.var = count, mean, self.variance(squares, count)

    def size(self, chunk: Array) -> int:
        """Elements per feature."""
        return int(chunk.size // self.config.channels)

    def average(self, chunk: Array) -> Array:
        """The mean of each feature."""
        return self.lanes(chunk).mean(axis=1).reshape(self.config.channel_shape)

    def lanes(self, chunk: Array) -> Array:
        """The values of each feature as a row, packed: shape (C, size). NumPy adds along packed rows pairwise."""
        return np.ascontiguousarray(np.moveaxis(chunk, self.config.channel_axis, 0).reshape(self.config.channels, -1))

    def spread(self, chunk: Array, mean: Array) -> Array:
        """The sum of squared deviations of each feature."""
        return self.lanes(np.square(chunk - mean)).sum(axis=1).reshape(self.config.channel_shape)

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Tuple[int, Array, Array]:
        """Count, mean and squared deviations with one more chunk."""
        n, own = self.size(chunk), self.average(chunk)
        delta, total = own - mean, count + n
        between = np.square(delta) * self.work.type(count * n / total)
        return total, mean + delta * self.work.type(n / total), squares + self.spread(chunk, own) + between

    def variance(self, squares: Array, count: int) -> Array:
        """The variance of this many values with these squared deviations."""
        return squares / self.work.type(count)

    def noise(self) -> Array:
        """The largest variance explained by rounding alone."""
        reach = self.work.type(self.count * np.finfo(self.work).eps)
        return reach * self.var + np.square(reach * self.mean)

    def scale(self) -> Array:
        """The divisor of the transform."""
        return np.where(self.var <= self.noise(), self.work.type(1), np.sqrt(self.var))

    def transform(self, x: Array) -> Array:
        """(x - mean) / std."""
        return ((x.astype(self.work) - self.mean) / self.scale()).astype(self.result_dtype(x))

    def result_dtype(self, x: Array) -> Any:
        """The dtype of a transform: x's, and of integers the working precision."""
        return self.work if x.dtype.kind in "iub" else x.dtype

    def inverse(self, y: Array) -> Array:
        """y * std + mean."""
        return (y.astype(self.work) * self.scale() + self.mean).astype(y.dtype)

    def statistics(self) -> State:
        """The fitted statistics."""
        return State(self.mean.reshape(-1), self.var.reshape(-1))


class MissingScaler(PlainScaler):
    """The plain scaler for training sets in which NaN is a missing value."""

    declares: Dict[str, Any] = {"input_missing": True}

    def fit(self, chunks: Sequence[Array]) -> None:
        """Learn the statistics of each feature from its values that are there."""
        super().fit([np.where(np.isnan(c), c.dtype.type(0), c) for c in chunks])
        if not any(np.isnan(c).any() for c in chunks):
            return
        parts = [self.there(c) for c in chunks]
        lanes = [np.concatenate([p[c] for p in parts]) for c in range(self.config.channels)]
        shape = self.config.channel_shape
        self.mean = np.array([lane.mean() for lane in lanes], self.work).reshape(shape)
        self.var = np.array([np.square(lane - lane.mean()).mean() for lane in lanes], self.work).reshape(shape)

    def there(self, chunk: Array) -> Sequence[Array]:
        """The values of each feature that are there."""
        return [lane[~np.isnan(lane)] for lane in self.lanes(chunk.astype(self.work))]


class PlainAdapter(Adapter):
    """The plain layer and scaler as a backend; mutants and variants substitute their own class.

    The plain layer leaves checking its arguments to its caller.
    """

    framework = "numpy"
    conventions = Conventions(
        running_correction=1,
        momentum_weighs="none",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        integers=True,
        input_normalization=True,
    )
    layer_class: type = PlainLayer
    scaler_class: type = PlainScaler

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """A layer of the class under test."""
        return self.layer_class(config, gamma, beta, running_mean, running_var)

    def scaler(self, config: LayerConfig) -> Scaler:
        """A scaler of the class under test."""
        return self.scaler_class(config)
