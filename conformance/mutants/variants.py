"""Variants: unusual but correct implementations. Whoever accuses one is wrong."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.mutants.plain import PlainLayer, PlainScaler

Array = Any


class Unchanged(PlainLayer):
    """The plain layer itself: the null test."""


class SequentialSums(PlainLayer):
    """Adds one value after the other, in the working precision."""

    def moments(self, x: Array) -> Tuple[Array, Array]:
        flat = self.flat(x)
        mean = np.cumsum(flat, axis=1, dtype=self.work)[:, -1] / self.work.type(flat.shape[1])
        squares = np.square(flat - mean[:, None])
        var = np.cumsum(squares, axis=1, dtype=self.work)[:, -1] / self.work.type(flat.shape[1])
        return mean.reshape(self.config.channel_shape), var.reshape(self.config.channel_shape)

    def flat(self, x: Array) -> Array:
        """(C, count)."""
        return np.moveaxis(x, self.config.channel_axis, 0).reshape(self.config.channels, -1)


class Welford(SequentialSums):
    """Updates mean and squared deviations value by value."""

    def moments(self, x: Array) -> Tuple[Array, Array]:
        flat = self.flat(x)
        mean, squares = np.zeros(len(flat), self.work), np.zeros(len(flat), self.work)
        for k in range(flat.shape[1]):
            delta = flat[:, k] - mean
            mean = mean + delta / self.work.type(k + 1)
            squares = squares + delta * (flat[:, k] - mean)
        var = squares / self.work.type(flat.shape[1])
        return mean.reshape(self.config.channel_shape), var.reshape(self.config.channel_shape)


class ShiftedOnePass(SequentialSums):
    """E[d^2] - E[d]^2 with d = x - the first value of the channel."""

    def moments(self, x: Array) -> Tuple[Array, Array]:
        flat = self.flat(x)
        shift = flat[:, :1]
        moved = flat - shift
        mean = moved.mean(axis=1)
        var = np.maximum(np.square(moved).mean(axis=1) - np.square(mean), 0)
        return (mean + shift[:, 0]).reshape(self.config.channel_shape), var.reshape(self.config.channel_shape)


class BlocksMerged(SequentialSums):
    """Moments of four blocks, merged by Chan's formula."""

    def moments(self, x: Array) -> Tuple[Array, Array]:
        count, mean, squares = 0, np.zeros((), self.work), np.zeros((), self.work)
        for block in (b for b in np.array_split(self.flat(x), 4, axis=1) if b.size):
            n = block.shape[1]
            own = block.mean(axis=1)
            delta, total = own - mean, count + n
            squares = (
                squares
                + np.square(block - own[:, None]).sum(axis=1)
                + delta * delta * self.work.type(count * n / total)
            )
            mean, count = mean + delta * self.work.type(n / total), total
        var = squares / self.work.type(count)
        return mean.reshape(self.config.channel_shape), var.reshape(self.config.channel_shape)


class DoubleAccumulators(PlainLayer):
    """Sums in float64."""

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x.astype(np.float64))
        return mean.astype(self.work), var.astype(self.work)


class Folded(PlainLayer):
    """y = x * a + b with a = gamma * inv_std and b = beta - mean * a."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        scale = self.gamma() * inv_std
        return x * scale + (self.beta() - mean * scale)


class NewtonRoot(PlainLayer):
    """Reciprocal root from a poor start and three Newton steps, as vector units do it."""

    def inv_std(self, var: Array) -> Array:
        total = var + self.work.type(self.config.epsilon)
        with np.errstate(all="ignore"):
            exact = 1 / np.sqrt(total)
        root = exact * self.work.type(1.01)
        for _ in range(4 if self.work == np.float32 else 6):
            root = root * (self.work.type(1.5) - (self.work.type(0.5) * total * root) * root)
        return np.where(np.isfinite(root) & (root > 0), root, exact)


class DifferenceUpdate(PlainLayer):
    """old + (1 - decay) * (new - old)."""

    def new_mean(self, old: Array, mean: Array) -> Array:
        return old + self.work.type(1 - self.config.decay) * (mean - old)

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return old + self.work.type(1 - self.config.decay) * (self.corrected(var, count) - old)


class SummedGradient(PlainLayer):
    """dx = gamma inv_std / m (m dy - sum dy - zhat sum(dy zhat)), as kernels write it."""

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        count = self.work.type(self.count(dy))
        a = dy.sum(axis=self.axes, keepdims=True)
        b = (dy * zhat).sum(axis=self.axes, keepdims=True)
        return self.gamma() * inv_std / count * (count * dy - a - zhat * b)


class ChannelLoop(PlainLayer):
    """Each channel alone, as threads split them."""

    def moments(self, x: Array) -> Tuple[Array, Array]:
        parts = np.split(x, self.config.channels, axis=self.config.channel_axis)
        pairs = [super(ChannelLoop, self).moments(np.ascontiguousarray(p)) for p in parts]
        means, variances = zip(*pairs)
        return tuple(np.concatenate(v, axis=self.config.channel_axis) for v in (means, variances))  # type: ignore[return-value]


class FlushesSubnormals(PlainLayer):
    """Treats values below the normal range as 0."""

    def values(self, array: Array) -> Array:
        wide = super().values(array)
        tiny = np.finfo(self.work).tiny
        return np.where(np.abs(wide) < tiny, np.copysign(self.work.type(0), wide), wide)


class ScalerAtOnce(PlainScaler):
    """Joins the chunks and takes the moments of the whole."""

    def fit(self, chunks: Any) -> None:
        super().fit([np.concatenate(list(chunks), axis=0)])


VARIANTS = (
    Unchanged,
    SequentialSums,
    Welford,
    ShiftedOnePass,
    BlocksMerged,
    DoubleAccumulators,
    Folded,
    NewtonRoot,
    DifferenceUpdate,
    SummedGradient,
    ChannelLoop,
    FlushesSubnormals,
    ScalerAtOnce,
)
