"""Mutants of blocks, extents and indices: values lost at the ends of tiles and beyond 16 bits."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.model.conventions import HALVES

Array = Any
Moments = Tuple[Array, Array]

EXTENTS = ("layout.extents",)


class _Whole(PlainLayer):
    """Reduces only the first values of each channel."""

    def kept(self, count: int) -> int:
        """The number of values per channel that enter the statistics."""
        return count

    def moments(self, x: Array) -> Moments:
        lanes = self.lanes(x)
        if self.kept(lanes.shape[1]) == lanes.shape[1]:
            return super().moments(x)
        part = lanes[:, : self.kept(lanes.shape[1])]
        mean = part.mean(axis=1)
        return self.broad(mean), self.broad(np.square(part - mean[:, None]).mean(axis=1))


class TailAfter32Dropped(_Whole):
    """Reduces whole blocks of 32 values only, once there are that many."""

    family, killed_by, path = "layout", EXTENTS, "count beyond 32, not a multiple of 32"

    def kept(self, count: int) -> int:
        return count if count < 32 else count // 32 * 32


class TailAfter64Dropped(_Whole):
    """Reduces whole blocks of 64 values only, once there are that many."""

    family, killed_by, path = "layout", EXTENTS, "count beyond 64, not a multiple of 64"

    def kept(self, count: int) -> int:
        return count if count < 64 else count // 64 * 64


class TailAfter256Dropped(_Whole):
    """Reduces whole blocks of 256 values only, once there are that many."""

    family, killed_by, path = "layout", EXTENTS, "count beyond 256, not a multiple of 256"

    def kept(self, count: int) -> int:
        return count if count < 256 else count // 256 * 256


class TailAfter1024Dropped(_Whole):
    """Reduces whole blocks of 1,024 values only, once there are that many."""

    family, killed_by, path = "layout", EXTENTS, "count beyond 1,024, not a multiple of 1,024"

    def kept(self, count: int) -> int:
        return count if count < 1024 else count // 1024 * 1024


class ValuesBeyond16BitsLost(_Whole):
    """Loops over the values with an index of 16 bits."""

    family, killed_by, path = "layout", EXTENTS, "more than 65,535 values per channel"

    def kept(self, count: int) -> int:
        return min(count, 65535)


class OddValueLost(_Whole):
    """Takes the values in pairs, and loses the last of an odd number."""

    family, killed_by, path = "training", ("training.output",), "odd count"

    def kept(self, count: int) -> int:
        return max(count // 2 * 2, 1)


class HalfOfManyValues(_Whole):
    """Estimates the statistics of more than 128 values from the first half."""

    family, killed_by, path = "training", ("training.output",), "more than 128 values per channel"

    def kept(self, count: int) -> int:
        return count if count <= 128 else count // 2


class TailOfFourLostInVariance(PlainLayer):
    """Unrolls the variance's loop by four and forgets the rest; the mean is right."""

    family, killed_by, path = "training", ("training.output", "running.var"), "count not a multiple of 4"

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        lanes = self.lanes(x)
        whole = lanes.shape[1] // 4 * 4
        if whole in (0, lanes.shape[1]):
            return mean, var
        squares = np.square(lanes[:, :whole] - mean.reshape(-1, 1)).sum(axis=1)
        return mean, self.broad(squares / self.work.type(lanes.shape[1]))


class BlocksAveragedEqually(PlainLayer):
    """Averages the means of blocks of 32 with equal weights, the shorter last one among them."""

    family, killed_by, path = "layout", EXTENTS, "count beyond 32, not a multiple of 32"

    def average(self, x: Array) -> Array:
        lanes = self.lanes(x)
        parts = [lanes[:, k : k + 32].mean(axis=1) for k in range(0, lanes.shape[1], 32)]
        return self.broad(np.mean(parts, axis=0)) if len(parts) > 1 else super().average(x)


class BlockSpreadForgotten(PlainLayer):
    """Averages the variances of two halves and forgets the distance of their means, from 16 values on."""

    family, killed_by, path = "training", ("training.output",), "at least 16 values per channel"

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        lanes = self.lanes(x)
        if lanes.shape[1] >= 16:
            halves = np.array_split(lanes, 2, axis=1)
            squares = sum(np.square(h - h.mean(axis=1, keepdims=True)).sum(axis=1) for h in halves)
            var = self.broad(squares / self.work.type(lanes.shape[1]))
        return mean, var


class ChannelsBeyond32Misread(PlainLayer):
    """Takes the statistics of channel c modulo 32."""

    family, killed_by, path = "layout", EXTENTS, "more than 32 channels"

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        index = np.arange(self.config.channels) % 32
        return self.broad(mean.reshape(-1)[index]), self.broad(var.reshape(-1)[index])


class ChannelsBeyond16BitsMisread(PlainLayer):
    """Takes the parameters of channel c modulo 65,536."""

    family, killed_by, path = "layout", EXTENTS, "more than 65,535 channels"

    def gamma(self) -> Array:
        return self.broad(super().gamma().reshape(-1)[np.arange(self.config.channels) % 65536])

    def beta(self) -> Array:
        return self.broad(super().beta().reshape(-1)[np.arange(self.config.channels) % 65536])


class CountBeyond16BitsWraps(PlainLayer):
    """Divides the sum by a count of 16 bits."""

    family, killed_by, path = "layout", EXTENTS, "more than 65,535 values per channel"

    def average(self, x: Array) -> Array:
        count = self.count(x)
        return super().average(x) * self.work.type(count / (count % 65536 or 1))


class TailDroppedInBackward(PlainLayer):
    """Sums dy over whole blocks of 32 values only, once there are that many."""

    family, killed_by, path = "layout", EXTENTS, "backward, count beyond 32"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        lanes = self.lanes(dy)
        return dgamma, lanes[:, : lanes.shape[1] // 32 * 32].sum(axis=1) if lanes.shape[1] > 32 else dbeta


class TailDroppedInInference(PlainLayer):
    """Leaves the last values of a row as they are, once it has 32 and not a multiple of 32."""

    family, killed_by, path = "layout", EXTENTS, "inference, more than 32 channels"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        tail = self.config.channels % 32 if self.config.channels > 32 else 0
        if tail:
            last = [slice(None)] * x.ndim
            last[self.config.channel_axis] = slice(self.config.channels - tail, None)
            y[tuple(last)] = x[tuple(last)]
        return y


class HalvesOfOddRowsInPairs(PlainLayer):
    """Computes half precision two by two, in inference: the last of an odd row is the one before it."""

    family, killed_by = "dtype", ("dtype.half_is_as_exact_as_declared", "inference.output")
    path = "half precision, odd rows of sequences"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        if x.dtype.name in HALVES and x.ndim == 3 and x.shape[-1] % 2 == 1 < x.shape[-1]:
            y[..., -1] = y[..., -2]
        return y


class HalvesOfChannelsLastInEights(PlainLayer):
    """Leaves out the channels beyond a multiple of eight, in inference in half precision with the channels last."""

    family, killed_by = "dtype", ("dtype.half_is_as_exact_as_declared", "inference.output")
    path = "half precision, images with the channels last"

    def inference(self, x: Array) -> Array:
        y = super().inference(x)
        if x.dtype.name in HALVES and x.ndim == 4 and self.config.channel_axis == 3:
            y[..., x.shape[-1] // 8 * 8 :] = 0
        return y
