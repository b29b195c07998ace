"""Mutants of memory layouts, axes and ranks."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients, SecondOrder, Tangent
from bnspec.model.call import TRAINING_MASKED, TRAINING_MASKED_GRADIENTS, TRAINING_SECOND_ORDER, TRAINING_TANGENT
from bnspec.model.conventions import HALVES

Array = Any

STRIDES, AXIS = ("layout.strides",), ("layout.axis",)
AFFINE = ("affine.per_channel",)


def permuted(array: Array) -> bool:
    """Whether the array is packed, in another order of its axes."""
    if array.flags.c_contiguous or min(array.strides, default=0) <= 0:
        return False
    return bool(np.transpose(array, np.argsort(array.strides)[::-1]).flags.c_contiguous)


def misread(array: Array) -> Array:
    """A permuted array, its memory read in the packed order."""
    return np.transpose(array, np.argsort(array.strides)[::-1]).reshape(array.shape)


class StridesIgnored(PlainLayer):
    """Reads the memory of a permuted image as if it were packed."""

    family, killed_by, path = "layout", STRIDES, "rank 4, permuted"

    def values(self, array: Array) -> Array:
        return super().values(misread(array) if array.ndim == 4 and permuted(array) else array)


class CotangentStridesIgnored(PlainLayer):
    """Reads the memory of a permuted dy as if it were packed."""

    family, killed_by, path = "layout", STRIDES, "dy permuted"

    def cotangent(self, dy: Array) -> Array:
        return super().cotangent(misread(dy) if permuted(dy) else dy)


class CotangentReadInTheOrderOfX(PlainLayer):
    """Reads dy in the order of x's memory, where x is permuted and dy is packed."""

    family, killed_by, path = "layout", STRIDES, "x permuted, dy packed"
    order: Any = None

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        self.order = np.argsort(x.strides)[::-1] if permuted(x) and dy.flags.c_contiguous else None
        result = super().training_gradients(x, dy)
        self.order = None
        return result

    def cotangent(self, dy: Array) -> Array:
        if self.order is not None:
            back = np.argsort(self.order)
            dy = dy.reshape([dy.shape[a] for a in self.order]).transpose(back)
        return super().cotangent(dy)


class StridesIgnoredInBackward(PlainLayer):
    """Forms dgamma from a permuted x as if it were packed; dx is right."""

    family, killed_by, path = "layout", STRIDES, "backward, x permuted"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().training_gradients(x, dy)
        if not (permuted(x) and self.config.affine):
            return result
        wide, cotangent = self.values(misread(x)), self.cotangent(dy)
        mean, var = self.moments(wide)
        dgamma = (cotangent * (wide - mean) * self.inv_std(var)).sum(axis=self.axes)
        return result._replace(dgamma=dgamma.astype(self.mean.dtype))


class GapsIgnored(PlainLayer):
    """Reads a part of a larger array as if its rows lay one behind the other."""

    family, killed_by, path = "layout", STRIDES, "sliced"

    def values(self, array: Array) -> Array:
        steps = array.strides
        ordered = all(a >= b * n for a, b, n in zip(steps, steps[1:], array.shape[1:])) and min(steps, default=0) > 0
        if array.size and not array.flags.c_contiguous and ordered and steps[-1] == array.itemsize:
            packed = np.cumprod((array.itemsize, *array.shape[:0:-1]))[::-1]
            array = np.lib.stride_tricks.as_strided(array, array.shape, tuple(int(s) for s in packed))
        return super().values(array)


class NegativeStrideIgnored(PlainLayer):
    """Reads an axis of negative stride forwards."""

    family, killed_by, path = "layout", STRIDES, "negative stride"

    def values(self, array: Array) -> Array:
        if array.size and array.strides[-1] < 0:
            array = array[..., ::-1]
        return super().values(array)


class RepeatedRowsCountedOnce(PlainLayer):
    """Counts rows that share their memory once, in the correction of the running variance."""

    family, killed_by, path = "layout", STRIDES, "stride 0"

    repeats = 1

    def values(self, array: Array) -> Array:
        self.repeats = max(int(np.prod([n for n, s in zip(array.shape, array.strides) if s == 0])), 1)
        return super().values(array)

    def count(self, x: Array) -> int:
        return super().count(x) // self.repeats or 1


class FortranOrderTransposed(PlainLayer):
    """Takes an image in Fortran order for one whose axes are reversed, in inference."""

    family, killed_by, path = "layout", STRIDES, "inference, Fortran order"

    def infer(self, x: Array) -> Array:
        if x.ndim > 2 and x.flags.f_contiguous and not x.flags.c_contiguous:
            x = x.T.reshape(x.shape)
        return super().infer(x)


class LastAxisUnreduced(PlainLayer):
    """Forgets the last axis of sequences in the variance."""

    family, killed_by, path = "layout", AXIS, "rank 3, channels first"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        if x.ndim == 3 and self.config.channel_axis == 1:
            var = np.square(x - x.mean(axis=0, keepdims=True)).mean(axis=(0, 2), keepdims=True)
        return mean, var


class SecondAxisUnreducedOfVolumes(PlainLayer):
    """Forgets an inner axis of volumes in the variance."""

    family, killed_by, path = "layout", AXIS, "rank 5"

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        if x.ndim == 5:
            most = tuple(a for a in self.axes if a != 2)
            var = np.square(x - x.mean(axis=most, keepdims=True)).mean(axis=self.axes, keepdims=True)
        return mean, var


class WidthForTheCount(PlainLayer):
    """Divides the sum by the product of all inner extents but the last one twice: as if images were square."""

    family, killed_by, path = "layout", AXIS, "rank 4, width unlike height"

    def average(self, x: Array) -> Array:
        mean = super().average(x)
        inner = [x.shape[a] for a in self.axes]
        return mean * self.work.type(inner[-2] / inner[-1]) if x.ndim == 4 else mean


class MiddleAxisMisread(PlainLayer):
    """Takes the parameters in the reverse order where the channel axis is neither the second nor the last."""

    family, killed_by, path = "layout", AXIS, "channel axis in the middle"

    def wide(self, channels: Array) -> Array:
        wide = super().wide(channels)
        middle = self.config.channel_axis not in (1, self.config.rank - 1)
        return wide.reshape(-1)[::-1].reshape(wide.shape) if middle else wide


class ChannelsLastParametersReversedInBackward(PlainLayer):
    """Returns dgamma in the reverse order where the channel axis is the last of more than two."""

    family, killed_by, path = "layout", AXIS, "backward, channels last"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        last = 1 < self.config.channel_axis == self.config.rank - 1
        return (dgamma[::-1] if last else dgamma), dbeta


class ChannelsFirstInInference(PlainLayer):
    """Reads the running mean by the second axis in inference, where the channels are last and as many fit there."""

    family, killed_by, path = "layout", AXIS, "inference, channels last"

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().inference_statistics(x)
        if 1 < self.config.channel_axis == x.ndim - 1:
            mean = np.roll(mean, 1, axis=-1)
        return mean, var


class FirstAxisParametersReversed(PlainLayer):
    """Takes the parameters in the reverse order where the channel axis is the first."""

    family, killed_by, path = "layout", ("layout.axis",), "channel axis 0"

    def wide(self, channels: Array) -> Array:
        wide = super().wide(channels)
        return wide.reshape(-1)[::-1].reshape(wide.shape) if self.config.channel_axis == 0 else wide


class SquarePlanesTransposed(PlainLayer):
    """Exchanges height and width of dx of square planes."""

    family, killed_by, path = "layout", ("layout.axis", "gradient.training_dx"), "square planes"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        dx = super().training_dx(dy, zhat, inv_std)
        square = dx.ndim == 4 and self.config.channel_axis == 1 and dx.shape[2] == dx.shape[3] > 4
        return dx.swapaxes(2, 3) if square else dx


class HalvesInChannelsLastMemoryReadAsPacked(PlainLayer):
    """Reads half-precision arrays whose memory has the channels last as if they were packed."""

    family, killed_by, path = "layout", ("layout.strides",), "half precision, channels last in memory"

    def values(self, array: Array) -> Array:
        if array.dtype.name in HALVES and array.ndim == 4 and array.size and not array.flags.c_contiguous:
            memory = array.transpose(0, 2, 3, 1)
            if memory.flags.c_contiguous:
                return super().values(memory.reshape(array.shape))
        return super().values(array)


class DirectionStridesIgnored(FullLayer):
    """Reads the memory of a permuted direction as if it were packed."""

    family, killed_by = "gradient", ("gradient.forward_mode", "second_order.cotangent_and_scale")
    path, calls = "a direction that is permuted", (TRAINING_TANGENT, TRAINING_SECOND_ORDER)

    def training_tangent(self, x: Array, v: Array) -> Tangent:
        return super().training_tangent(x, misread(v) if permuted(v) else v)

    def training_second_order(self, x: Array, dy: Array, v: Array) -> SecondOrder:
        return super().training_second_order(x, dy, misread(v) if permuted(v) else v)


class MaskStridesIgnored(FullLayer):
    """Reads the memory of a permuted mask as if it were packed."""

    family, killed_by, path = "mask", ("mask.equals_compaction",), "a mask that is permuted"
    calls = (TRAINING_MASKED, TRAINING_MASKED_GRADIENTS)

    def training_masked(self, x: Array, mask: Array) -> Array:
        return super().training_masked(x, misread(mask) if permuted(mask) else mask)


class DoublesInFortranOrder(PlainLayer):
    """Returns dx of doubles in the order of Fortran's memory, where x has it."""

    family, killed_by, path = "layout", STRIDES, "float64, Fortran's order"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        found = super().training_gradients(x, dy)
        columns = x.dtype == np.float64 and x.ndim > 2 and x.flags.f_contiguous and not x.flags.c_contiguous
        return found._replace(dx=found.dx.reshape(-1).reshape(x.shape, order="F")) if columns else found


class TangentOfSequencesInTheBatchAlone(FullLayer):
    """Averages a direction over the batch alone, in sequences with the channels last."""

    family, killed_by, path = "gradient", ("gradient.forward_mode",), "forward mode, sequences, channels last"
    calls = (TRAINING_TANGENT,)

    def tangent(self, v: Array, centred: Array, inv_std: Array) -> Array:
        if v.ndim != 3 or self.config.channel_axis != 2:
            return super().tangent(v, centred, inv_std)
        moved = v - v.mean(axis=0, keepdims=True)
        return self.gamma() * (moved * inv_std + centred * self.root_along(moved, centred, inv_std))


class SecondScaleLosesLastChannels(FullLayer):
    """Has no second derivative by gamma for the channels that are left beyond four."""

    family, killed_by, path = "second_order", ("second_order.cotangent_and_scale",), "five channels"
    calls = (TRAINING_SECOND_ORDER,)

    def second_by_gamma(self, dy: Array, v: Array, zhat: Array, inv_std: Array) -> Array:
        found = super().second_by_gamma(dy, v, zhat, inv_std).copy()
        if self.config.channels > 4:
            found[self.config.channels // 4 * 4 :] = 0
        return found


class HalfCotangentInColumnsMisread(PlainLayer):
    """In half precision reads a dy in Fortran's order as if it were packed, where x is."""

    family, killed_by, path = "layout", STRIDES, "half precision, dy in Fortran's order, x packed"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        columns = (
            x.dtype.name in HALVES and x.flags.c_contiguous and dy.flags.f_contiguous and not dy.flags.c_contiguous
        )
        return super().training_gradients(x, misread(dy) if columns and permuted(dy) else dy)


class UnalignedScaleLoadedFromBelow(PlainLayer):
    """Loads a gamma that no vector is aligned with from one element below."""

    family, killed_by, path = "layout", (*STRIDES, *AFFINE), "an unaligned gamma"

    def gamma(self) -> Array:
        gamma = super().gamma()
        unaligned = self.raw_gamma is not None and self.raw_gamma.__array_interface__["data"][0] % 16
        return np.roll(gamma.reshape(-1), 1).reshape(gamma.shape) if unaligned else gamma


class ShiftScaledInPlace(PlainLayer):
    """Scales gamma by inv_std in a buffer, and reads beta from there where the two are one array."""

    family, killed_by, path = "layout", ("training.output", *AFFINE), "gamma and beta are one array"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        one = self.raw_gamma is not None and np.shares_memory(self.raw_gamma, self.raw_beta)
        beta = self.beta() * inv_std if one else self.beta()
        return (x - mean) * inv_std * self.gamma() + beta
