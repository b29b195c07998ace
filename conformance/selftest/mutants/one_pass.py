"""Mutants that take the variance in one pass: E[x^2] - E[x]^2, everywhere or on one path."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer

Array = Any
Moments = Tuple[Array, Array]

STABLE = ("training.output_is_stable", "running.statistics_are_stable")


class _OnePass(PlainLayer):
    """E[x^2] - E[x]^2 on one path, two passes on the others."""

    def is_taken(self, x: Array) -> bool:
        """Whether this call takes the one-pass path."""
        return True

    def moments(self, x: Array) -> Moments:
        if not self.is_taken(x):
            return super().moments(x)
        mean = self.average(x)
        return mean, np.maximum(self.average(np.square(x)) - np.square(mean), 0)


class OnePassVariance(_OnePass):
    """Computes the variance as E[x^2] - E[x]^2, clipped at 0."""

    family, killed_by = "training", STABLE


class OnePassVarianceUnclipped(PlainLayer):
    """Computes the variance as E[x^2] - E[x]^2, which rounding makes negative."""

    family, killed_by = "training", ("training.finite", "running.var_not_negative")

    def moments(self, x: Array) -> Moments:
        mean = self.average(x)
        return mean, self.average(np.square(x)) - np.square(mean)


class OnePassFromSums(PlainLayer):
    """Computes the variance as (sum x^2 - (sum x)^2 / m) / m."""

    family, killed_by = "training", STABLE

    def moments(self, x: Array) -> Moments:
        total, count = x.sum(axis=self.axes, keepdims=True), self.work.type(self.count(x))
        squares = np.square(x).sum(axis=self.axes, keepdims=True) - np.square(total) / count
        return total / count, np.maximum(squares / count, 0)


class OnePassAboutRunningMean(PlainLayer):
    """Shifts x by the running mean, which may lie far away, and takes one pass."""

    family, killed_by = "training", STABLE

    def moments(self, x: Array) -> Moments:
        shift = self.wide(self.mean)
        moved = x - shift
        mean = self.average(moved)
        return mean + shift, np.maximum(self.average(np.square(moved)) - np.square(mean), 0)


class OnePassForManyValues(_OnePass):
    """Takes one pass once a channel has more than 64 values."""

    family, killed_by, path = "training", STABLE, "more than 64 values per channel"

    def is_taken(self, x: Array) -> bool:
        return self.count(x) > 64


class OnePassForFewValues(_OnePass):
    """Takes one pass where a channel has at most 8 values."""

    family, killed_by, path = "training", STABLE, "at most 8 values per channel"

    def is_taken(self, x: Array) -> bool:
        return self.count(x) <= 8


class OnePassForChannelsLast(_OnePass):
    """Takes one pass where the channel axis is the last of four."""

    family, killed_by, path = "training", STABLE, "rank 4, channels last"

    def is_taken(self, x: Array) -> bool:
        return x.ndim == 4 and self.config.channel_axis == 3


class OnePassForRankFive(_OnePass):
    """Takes one pass over volumes."""

    family, killed_by, path = "training", STABLE, "rank 5"

    def is_taken(self, x: Array) -> bool:
        return x.ndim == 5


class OnePassForRankThree(_OnePass):
    """Takes one pass over sequences."""

    family, killed_by, path = "training", STABLE, "rank 3"

    def is_taken(self, x: Array) -> bool:
        return x.ndim == 3


class OnePassForDouble(_OnePass):
    """Takes one pass in float64, where the digits seem to suffice."""

    family, killed_by, path = "training", STABLE, "float64"

    def is_taken(self, x: Array) -> bool:
        return self.config.dtype == "float64"


class OnePassInRunningVariance(_OnePass):
    """Takes one pass for the running variance, and two for y."""

    family, killed_by, path = "running", ("running.statistics_are_stable", "running.var"), "running variance"

    def training_statistics(self, x: Array) -> Moments:
        return PlainLayer.moments(self, x)


class OnePassInBackward(_OnePass):
    """Recomputes the variance in the backward pass in one pass."""

    family, killed_by, path = "gradient", ("gradient.training_is_stable", "gradient.training_dx"), "backward"

    def training_statistics(self, x: Array) -> Moments:
        return PlainLayer.moments(self, x)

    def backward_statistics(self, x: Array) -> Moments:
        return self.moments(x)

    def update(self, x: Array) -> None:
        (mean, var), count = PlainLayer.moments(self, x), self.count(x)
        self.store(self.new_mean(self.wide(self.mean), mean, count), self.new_var(self.wide(self.var), var, count))
