"""Mutants of large, coincident and unaligned extents, of views along each axis, and of coincident contents."""

from __future__ import annotations

import math
from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.model.call import TRAINING_MASKED, TRAINING_MASKED_GRADIENTS

Array = Any
Moments = Tuple[Array, Array]

EXTENTS, AXIS, STRIDES = ("layout.extents",), ("layout.axis",), ("layout.strides",)


class _Skips(PlainLayer):
    """Leaves the last value of each channel out of the mean where ``skips`` says so."""

    def skips(self, x: Array) -> bool:
        """Whether this batch is read wrongly."""
        raise NotImplementedError

    def positions(self, x: Array) -> int:
        """The extents of the positions, multiplied."""
        return math.prod(x.shape[a] for a in self.axes[1:])

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        return (self.broad(self.lanes(x)[:, :-1].mean(axis=1)) if self.skips(x) else mean), var


class OddPlaneBeyond1024(_Skips):
    """Loses a value of planes of more than 1,024 positions, an odd number."""

    family, killed_by, path = "layout", EXTENTS, "more than 1,024 positions, odd"

    def skips(self, x: Array) -> bool:
        return self.positions(x) > 1024 and self.positions(x) % 2 == 1


class PlaneBeyond4096NotInFours(PlainLayer):
    """Leaves what is beyond a multiple of 4 out of the sum of planes of at least 4,096 positions."""

    family, killed_by, path = "layout", EXTENTS, "at least 4,096 positions, not a multiple of 4"

    def average(self, x: Array) -> Array:
        tail = math.prod(x.shape[a] for a in self.axes[1:]) % 4
        if x.shape[self.axes[0]] > 1 or self.count(x) < 4096 or not tail:
            return super().average(x)
        return self.broad(self.lanes(x)[:, :-tail].sum(axis=1) / self.work.type(self.count(x)))


class PlaneBeyond4096NotInFoursBackward(PlainLayer):
    """Loses a value of dbeta of planes of at least 4,096 positions, not a multiple of 4."""

    family, killed_by, path = "layout", EXTENTS, "backward, at least 4,096 positions, not a multiple of 4"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        positions = math.prod(dy.shape[a] for a in self.axes[1:])
        return dgamma, self.lanes(dy)[:, :-1].sum(axis=1) if positions >= 4096 and positions % 4 else dbeta


class LongSequence(_Skips):
    """Loses a value of sequences of more than 144 positions."""

    family, killed_by, path = "layout", EXTENTS, "rank 3, more than 144 positions"

    def skips(self, x: Array) -> bool:
        return x.ndim == 3 and self.positions(x) > 144


class ManyChannelsOfImages(_Skips):
    """Loses a value of images of more than 128 channels, channels last."""

    family, killed_by, path = "layout", EXTENTS, "rank 4, more than 128 channels last"

    def skips(self, x: Array) -> bool:
        return x.ndim == 4 and self.config.channels > 128 and self.config.channel_axis == 3


class ChannelAxisByItsExtent(PlainLayer):
    """Finds the channel axis as the last one of its extent, in the variance."""

    family, killed_by, path = "layout", AXIS, "channels first, as many as the last extent"

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        if x.ndim == 4 and self.config.channel_axis == 1 and x.shape[-1] == self.config.channels > 1:
            var = self.broad(np.square(x - mean).mean(axis=(0, 1, 2)))
        return mean, var


class BatchAxisByItsExtent(PlainLayer):
    """Finds the channel axis as the first one of its extent, in the sums of the backward pass."""

    family, killed_by, path = "layout", AXIS, "as many channels as rows, dbeta"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, _ = super().parameter_gradients(dy, zhat, inv_std)
        found = dy.shape.index(self.config.channels)
        return dgamma, dy.sum(axis=tuple(a for a in range(dy.ndim) if a != found))


class CubesTransposed(PlainLayer):
    """Takes sequences whose extents are all equal for ones with the channels last, in inference."""

    family, killed_by, path = "layout", AXIS, "rank 3, all extents equal, inference"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if self.inferences and not self.steps and x.ndim == 3 and len(set(x.shape)) == 1 < x.shape[0]:
            return (x - mean.reshape(-1)) * inv_std.reshape(-1) * self.gamma().reshape(-1) + self.beta().reshape(-1)
        return super().output(x, mean, inv_std)


class ReversedRowsReadForwards(PlainLayer):
    """Reads a batch that is reversed along its first axis forwards."""

    family, killed_by, path = "layout", STRIDES, "negative stride of the first axis alone"

    def values(self, array: Array) -> Array:
        if array.size and array.strides[0] < 0 < array.strides[-1]:
            array = array[::-1]
        return super().values(array)


class ReversedChannelsReadForwards(PlainLayer):
    """Reads the channels of an image that is reversed along them forwards."""

    family, killed_by, path = "layout", STRIDES, "rank 4, negative stride of the channel axis in the middle"

    def values(self, array: Array) -> Array:
        axis = self.config.channel_axis
        if array.size and 0 < axis < array.ndim - 1 and array.strides[axis] < 0 < array.strides[-1]:
            array = np.flip(array, axis)
        return super().values(array)


class SteppedLastAxisReadDensely(PlainLayer):
    """Reads the last axis as if its values lay side by side, where they lie two apart."""

    family, killed_by, path = "layout", STRIDES, "the last axis stepped"

    def values(self, array: Array) -> Array:
        item = array.itemsize
        if array.size and array.strides[-1] == 2 * item and array.shape[-1] > 1:
            array = np.lib.stride_tricks.as_strided(array, array.shape, (*array.strides[:-1], item))
        return super().values(array)


class UnalignedPackedRounded(PlainLayer):
    """Reads packed data from the address rounded down to 16 bytes."""

    family, killed_by, path = "layout", STRIDES, "an address that is not a multiple of 16"

    def values(self, array: Array) -> Array:
        ahead = array.ctypes.data % 16 // array.itemsize
        if array.size > 1 and array.flags.c_contiguous and ahead:
            array = np.roll(array.reshape(-1), ahead).reshape(array.shape)
        return super().values(array)


class StatisticsCachedBySum(PlainLayer):
    """Keeps the variance of the batch before where shape, sums and first values agree."""

    family, killed_by, path = (
        "training",
        ("training.output", "running.var"),
        "a second batch with the sums of the first",
    )
    kept: Any = None

    def moments(self, x: Array) -> Moments:
        mean, var = super().moments(x)
        sign = x.shape, self.lanes(x)[:, 0].tobytes(), self.lanes(x).astype(np.float64).sum(axis=1).tobytes()
        if self.kept is None or self.kept[0] != sign:
            self.kept = sign, var
        return mean, self.kept[1]


class ShiftForAnEqualScale(PlainLayer):
    """Takes gamma for ones where it has the bits of beta."""

    family, killed_by, path = "affine", ("affine.per_channel",), "gamma with the bits of beta"

    def gamma(self) -> Array:
        gamma = super().gamma()
        return np.ones_like(gamma) if np.array_equal(gamma, self.beta()) else gamma


class BetaInHalfPrecision(PlainLayer):
    """Keeps eight binary digits of a float32 beta."""

    family, killed_by, path = "affine", ("affine.per_channel", "inference.output"), "a beta that needs more digits"

    def beta(self) -> Array:
        beta = super().beta()
        digits, exponent = np.frexp(beta)
        return np.ldexp(np.round(digits * 256) / 256, exponent).astype(beta.dtype) if beta.dtype == np.float32 else beta


class InfinitiesClampedInInference(PlainLayer):
    """Clamps infinities to the largest finite number, in inference."""

    family, killed_by = "special", ("special.inference_keeps_special_values",)
    path = "an infinity, inference"

    def infer(self, x: Array) -> Array:
        y = super().infer(x)
        return np.where(np.isinf(y), np.sign(y) * y.dtype.type(65504), y).astype(y.dtype)


class NanIsZeroInInference(PlainLayer):
    """Takes 0 for NaN, in inference."""

    family, killed_by = "special", ("special.inference_keeps_special_values",)
    path = "NaN, inference"

    def infer(self, x: Array) -> Array:
        return super().infer(np.where(np.isnan(x), x.dtype.type(0), x))


class RunningMeanSkipsNan(PlainLayer):
    """Leaves NaN out of the running mean."""

    family, killed_by = "special", ("special.nan_reaches_running_statistics",)
    path = "NaN in training, running mean"

    def update(self, x: Array) -> None:
        before = self.mean.copy()
        super().update(x)
        lost = np.isnan(self.mean) & ~np.isnan(before)
        self.mean[lost] = before[lost]


class MaskOfOneChannelSqueezed(FullLayer):
    """Squeezes a mask and pads it to the rank on the left, so that one of one channel means other elements."""

    family, killed_by, path = "mask", ("mask.equals_compaction",), "one channel, masked"
    calls = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)

    def kept_moments(self, x: Array, mask: Array) -> Moments:
        if self.config.channels == 1:
            mask = np.roll(mask, 1, axis=0)
        return super().kept_moments(x, mask)


class MaskOfLeadingChannelsFlipped(FullLayer):
    """Reads the mask in the other order of the batch, where the channels come before it."""

    family, killed_by, path = "mask", ("mask.equals_compaction",), "channel axis 0, masked"
    calls = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)

    def kept_moments(self, x: Array, mask: Array) -> Moments:
        return super().kept_moments(x, mask[:, ::-1] if self.config.channel_axis == 0 else mask)


class AlignedPlaneBeyond1024(_Skips):
    """Loses a value of planes of more than 1,024 positions that whole vectors fill."""

    family, killed_by, path = "layout", EXTENTS, "more than 1,024 positions, a multiple of 16"

    def skips(self, x: Array) -> bool:
        return x.ndim > 2 and self.positions(x) > 1024 and self.positions(x) % 16 == 0


class VectorsOfChannelsLastBackward(PlainLayer):
    """Leaves out the mean of dy where whole vectors of channels lie last."""

    family, killed_by, path = "layout", EXTENTS, "channels last, a multiple of 16, backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        if dy.ndim == 2 or self.config.channel_axis != dy.ndim - 1 or self.config.channels % 16:
            return super().training_dx(dy, zhat, inv_std)
        return self.gamma() * inv_std * (dy - zhat * self.average(dy * zhat))


class SignedCountOf16Bits(PlainLayer):
    """Counts in 16 bits with a sign, in the correction of the running variance."""

    family, killed_by, path = "running", ("running.var",), "32,768 to 65,535 values"

    def corrected(self, var: Array, count: int) -> Array:
        counted = count - 2**16 if 2**15 <= count < 2**16 else count
        return var * self.work.type(counted / (counted - 1)) if counted != 1 else var


class ChannelsOfSequencesFoundByTheirExtent(PlainLayer):
    """Takes the first axis as long as the channels for theirs, in inference on sequences with the channels last."""

    family, killed_by, path = "layout", ("layout.axis", "inference.output"), "sequences, extents that coincide"

    def inference(self, x: Array) -> Array:
        found = x.ndim == 3 and self.config.channel_axis == 2 and x.shape[1] == self.config.channels
        return super().inference(x.swapaxes(1, 2)).swapaxes(1, 2) if found else super().inference(x)


class ChannelsFoundOnTheLastAxis(PlainLayer):
    """Takes the statistics of inference along the last axis where its extent is that of the channels, which lie before it."""

    family, killed_by, path = (
        "layout",
        (*AXIS, "inference.output"),
        "channels between other axes, extents that coincide",
    )

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        if self.config.channel_axis in (1, x.ndim - 1) or x.shape[-1] != self.config.channels:
            return mean, var
        return mean.reshape(-1), var.reshape(-1)


class ZerosAreAbsent(PlainLayer):
    """Leaves zeros out of the mean where they are most of a channel, as of a sparse batch."""

    family, killed_by, path = "training", ("training.output", "running.mean"), "a channel of many zeros"

    def average(self, x: Array) -> Array:
        there = np.count_nonzero(self.lanes(x), axis=1)
        sparse = self.broad((there > 0) & (2 * there < self.count(x)))
        mean: Array = np.where(sparse, self.broad(self.total(x) / np.maximum(there, 1)), super().average(x))
        return mean.astype(x.dtype)
