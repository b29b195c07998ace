"""Variants of summation: orders and accumulators within the bound of a stable algorithm."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer

Array = Any
Moments = Tuple[Array, Array]


class _Lanes(PlainLayer):
    """Base class: moments of (C, count) by a subclass's method."""

    def lane_moments(self, lanes: Array) -> Moments:
        """Mean and variance of each row, shape (C,)."""
        mean = self.summed(lanes) / self.work.type(lanes.shape[1])
        squares = self.summed(np.square(lanes - mean[:, None]))
        return mean, squares / self.work.type(lanes.shape[1])

    def summed(self, lanes: Array) -> Array:
        """The sum of each row."""
        return lanes.sum(axis=1)

    def moments(self, x: Array) -> Moments:
        mean, var = self.lane_moments(self.lanes(x))
        return self.broad(mean.astype(self.work)), self.broad(var.astype(self.work))


class Unchanged(PlainLayer):
    """The plain layer itself: the null test."""


class PairwiseSums(_Lanes):
    """Adds halves of halves."""

    def summed(self, lanes: Array) -> Array:
        n = lanes.shape[1]
        if n <= 2:
            return lanes.sum(axis=1)
        return self.summed(lanes[:, : n // 2]) + self.summed(lanes[:, n // 2 :])


class StridedSums(_Lanes):
    """Adds every eighth value in a partial sum of its own, as vector units do, and joins the eight at the end."""

    def summed(self, lanes: Array) -> Array:
        parts = [np.cumsum(lanes[:, k::8], axis=1, dtype=self.work)[:, -1] for k in range(min(8, lanes.shape[1]))]
        return np.sum(parts, axis=0, dtype=self.work)


class KahanSums(_Lanes):
    """Carries what each addition loses into the next."""

    def summed(self, lanes: Array) -> Array:
        total, lost = np.zeros(len(lanes), self.work), np.zeros(len(lanes), self.work)
        for column in lanes.T:
            value = column - lost
            new = total + value
            lost, total = (new - total) - value, new
        return total


class NeumaierSums(_Lanes):
    """Collects what additions lose, from the smaller of the two terms, and adds it at the end."""

    def summed(self, lanes: Array) -> Array:
        total, lost = np.zeros(len(lanes), self.work), np.zeros(len(lanes), self.work)
        for column in lanes.T:
            new = total + column
            larger = np.abs(total) >= np.abs(column)
            lost = lost + np.where(larger, (total - new) + column, (column - new) + total)
            total = new
        return total + lost


class DoubleAccumulators(_Lanes):
    """Sums in float64."""

    def lane_moments(self, lanes: Array) -> Moments:
        return super().lane_moments(lanes.astype(np.float64))


class OnePassInDouble(_Lanes):
    """E[x^2] - E[x]^2 in float64 for float32 data, where the digits suffice; two passes for float64."""

    def lane_moments(self, lanes: Array) -> Moments:
        if self.work == np.float64:
            return super().lane_moments(lanes)
        wide = lanes.astype(np.float64)
        mean = wide.mean(axis=1)
        return mean, np.maximum(np.square(wide).mean(axis=1) - np.square(mean), 0)


class TwoPassCorrected(_Lanes):
    """Takes out of the squared deviations what the rounded mean put in: (sum d^2 - (sum d)^2 / m) / m."""

    def lane_moments(self, lanes: Array) -> Moments:
        count = self.work.type(lanes.shape[1])
        mean = lanes.sum(axis=1) / count
        d = lanes - mean[:, None]
        return mean, np.maximum(np.square(d).sum(axis=1) - np.square(d.sum(axis=1)) / count, 0) / count


class Welford(_Lanes):
    """Updates mean and squared deviations value by value."""

    def lane_moments(self, lanes: Array) -> Moments:
        mean, squares = np.zeros(len(lanes), self.work), np.zeros(len(lanes), self.work)
        for k, column in enumerate(lanes.T, 1):
            delta = column - mean
            mean = mean + delta / self.work.type(k)
            squares = squares + delta * (column - mean)
        return mean, squares / self.work.type(lanes.shape[1])


class WelfordByReciprocals(_Lanes):
    """Multiplies by a table of 1/k where Welford divides by k."""

    def lane_moments(self, lanes: Array) -> Moments:
        table = self.work.type(1) / np.arange(1, lanes.shape[1] + 1).astype(self.work)
        mean, squares = np.zeros(len(lanes), self.work), np.zeros(len(lanes), self.work)
        for share, column in zip(table, lanes.T):
            delta = column - mean
            mean = mean + delta * share
            squares = squares + delta * (column - mean)
        return mean, squares * table[-1]


class _Merged(_Lanes):
    """Moments of parts, merged one after the other by Chan's formula."""

    def parts(self, lanes: Array) -> List[Array]:
        """The parts, each (C, some)."""
        raise NotImplementedError

    def lane_moments(self, lanes: Array) -> Moments:
        count, mean, squares = 0, np.zeros(len(lanes), self.work), np.zeros(len(lanes), self.work)
        for part in self.parts(lanes):
            n, own = part.shape[1], part.mean(axis=1)
            delta, total = own - mean, count + n
            between = np.square(delta) * self.work.type(count * n / total)
            squares = squares + np.square(part - own[:, None]).sum(axis=1) + between
            mean, count = mean + delta * self.work.type(n / total), total
        return mean, squares / self.work.type(count)


class BlocksOf7Merged(_Merged):
    """Merges blocks of 7 values."""

    def parts(self, lanes: Array) -> List[Array]:
        return [lanes[:, k : k + 7] for k in range(0, lanes.shape[1], 7)]


class BlocksOf32Merged(_Merged):
    """Merges blocks of 32 values."""

    def parts(self, lanes: Array) -> List[Array]:
        return [lanes[:, k : k + 32] for k in range(0, lanes.shape[1], 32)]


class SingleValuesMerged(_Merged):
    """Merges blocks of one value, up to 512 of them, then of 512."""

    def parts(self, lanes: Array) -> List[Array]:
        first = [lanes[:, k : k + 1] for k in range(min(512, lanes.shape[1]))]
        return first + [lanes[:, k : k + 512] for k in range(512, lanes.shape[1], 512)]


class FourLanesMerged(_Merged):
    """Merges every fourth value's moments, as four vector lanes leave them."""

    def parts(self, lanes: Array) -> List[Array]:
        return [lanes[:, k::4] for k in range(min(4, lanes.shape[1]))]


class _Shifted(_Lanes):
    """E[d^2] - E[d]^2 with d = x - a shift."""

    def shift(self, lanes: Array) -> Array:
        """The shift of each row, shape (C, 1)."""
        raise NotImplementedError

    def lane_moments(self, lanes: Array) -> Moments:
        shift = self.shift(lanes)
        moved = lanes - shift
        mean = moved.mean(axis=1)
        return mean + shift[:, 0], np.maximum(np.square(moved).mean(axis=1) - np.square(mean), 0)


class ShiftedByFirstValue(_Shifted):
    """Shifts each channel by its first value and takes one pass."""

    def shift(self, lanes: Array) -> Array:
        return lanes[:, :1]


class ShiftedByMedian(_Shifted):
    """Shifts each channel by its lower median and takes one pass."""

    def shift(self, lanes: Array) -> Array:
        return np.sort(lanes, axis=1)[:, (lanes.shape[1] - 1) // 2][:, None]


class ShiftedByRoughMean(_Shifted):
    """Shifts each channel by the mean of its first eight values and takes one pass."""

    def shift(self, lanes: Array) -> Array:
        return lanes[:, :8].mean(axis=1, keepdims=True)


class ChannelLoop(PlainLayer):
    """Each channel alone, as threads split them."""

    def moments(self, x: Array) -> Moments:
        mean = [lane.mean() for lane in self.lanes(x)]
        var = [np.square(lane - m).mean() for lane, m in zip(self.lanes(x), mean)]
        return self.broad(np.array(mean, self.work)), self.broad(np.array(var, self.work))
