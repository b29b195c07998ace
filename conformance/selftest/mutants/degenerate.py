"""Mutants of degenerate counts and of special values."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any
Moments = Tuple[Array, Array]

ONE, EMPTY = ("degenerate.count_one",), ("degenerate.empty_batch",)
NAN, INFINITY = ("special.nan_is_not_hidden",), ("special.infinity_is_not_hidden",)
ISOLATED = ("special.channels_are_isolated",)


class CountOneUnguarded(PlainLayer):
    """Divides by m - 1 when m is 1."""

    family, killed_by, path = "degenerate", ONE, "1 value per channel"

    def corrected(self, var: Array, count: int) -> Array:
        with np.errstate(all="ignore"):
            return var * (np.asarray(count, self.work) / np.asarray(count - 1, self.work))


class CountOneUnguardedWithGradients(PlainLayer):
    """Divides by m - 1 when m is 1 and gradients are recorded."""

    family, killed_by, path = "degenerate", ONE, "1 value per channel, with gradients"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().training_gradients(x, dy)
        if self.count(x) == 1:
            self.var[:] = np.nan
        return result


class CountOneRefused(PlainLayer):
    """Raises for one value per channel without declaring it."""

    family, killed_by, path = "degenerate", ONE, "1 value per channel"

    def forward(self, x: Array) -> Array:
        if self.count(x) == 1:
            raise ValueError("more than one value per channel is needed")
        return super().forward(x)


class CountOnePassedThrough(PlainLayer):
    """Returns x itself, not beta, for one value per channel."""

    family, killed_by, path = "training", ("training.output",), "1 value per channel"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        return x + 0 * y if self.count(x) == 1 and mean.size and (mean == x).all() else y


class CountOneSkipped(PlainLayer):
    """Does not move the running mean at one value per channel."""

    family, killed_by, path = "running", ("running.mean",), "1 value per channel"

    def update(self, x: Array) -> None:
        if self.count(x) > 1:
            super().update(x)


class EmptyBatchUnguarded(PlainLayer):
    """Updates the statistics with the mean of nothing."""

    family, killed_by, path = "degenerate", EMPTY, "an empty batch"

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            self.store(self.wide(self.mean) * np.nan, self.wide(self.var))
        return super().forward(x)


class EmptyBatchPoisonsVariance(PlainLayer):
    """Corrects the variance of an empty batch by 0 / -1, and then divides by 0."""

    family, killed_by, path = "degenerate", EMPTY, "an empty batch"

    def forward(self, x: Array) -> Array:
        if x.size == 0:
            self.store(self.wide(self.mean), self.wide(self.var) + np.inf)
        return super().forward(x)


class EmptyBatchLosesItsShape(PlainLayer):
    """Returns an empty vector for an empty batch."""

    family, killed_by, path = "contract", ("contract.shapes",), "an empty batch"

    def forward(self, x: Array) -> Array:
        y = super().forward(x)
        return y.reshape(-1) if x.size == 0 else y


class EmptyBatchRefusedInInference(PlainLayer):
    """Raises for an empty batch in inference, where nothing is degenerate."""

    family, killed_by, path = "contract", ("contract.accepts",), "inference, an empty batch"

    def infer(self, x: Array) -> Array:
        if x.size == 0:
            raise ValueError("x is empty")
        return super().infer(x)


class NanDropped(PlainLayer):
    """Leaves NaN out of the statistics."""

    family, killed_by, path = "special", NAN, "NaN in x"

    def moments(self, x: Array) -> Moments:
        if not np.isnan(x).any():
            return super().moments(x)
        mean = np.nanmean(x, axis=self.axes, keepdims=True)
        return mean, np.nanmean(np.square(x - mean), axis=self.axes, keepdims=True)


class NanTakenForZero(PlainLayer):
    """Replaces NaN in x by 0."""

    family, killed_by, path = "special", NAN, "NaN in x"

    def values(self, array: Array) -> Array:
        wide = super().values(array)
        return np.where(np.isnan(wide), self.work.type(0), wide)


class NanCleanedFromResult(PlainLayer):
    """Replaces NaN in y by 0."""

    family, killed_by, path = "special", NAN, "NaN in x"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        return np.where(np.isnan(y), self.work.type(0), y)


class NanVarianceTakenForZero(PlainLayer):
    """Takes a NaN variance for 0 by a comparison that NaN fails, and the mean with it."""

    family, killed_by, path = "special", (*NAN, *INFINITY), "NaN or infinity in x"

    def training_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return np.where(var > 0, mean, 0), np.where(var > 0, var, 0)


class InfinityClipped(PlainLayer):
    """Replaces infinities in x by the largest number."""

    family, killed_by, path = "special", INFINITY, "infinity in x"

    def values(self, array: Array) -> Array:
        wide = super().values(array)
        return np.clip(wide, -1e6, 1e6) if np.isinf(wide).any() else wide


class InfinityGivesBeta(PlainLayer):
    """Takes a variance that is not finite for infinite, so that y is beta."""

    family, killed_by, path = "special", INFINITY, "infinity in x"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        return np.where(np.isinf(mean), self.beta(), y)


class NanSpreads(PlainLayer):
    """A NaN in one channel reaches the shift of all."""

    family, killed_by, path = "special", ISOLATED, "NaN or infinity in x"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return super().output(x, mean, inv_std) + self.work.type(0) * mean.sum()


class NanSpreadsInState(PlainLayer):
    """A NaN in one channel's mean makes the running means of all NaN."""

    family, killed_by, path = "special", ISOLATED, "NaN in x"

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        return super().new_mean(old, np.where(np.isnan(mean).any(), np.nan, mean), count)


class NanSpreadsInBackward(PlainLayer):
    """A NaN in one channel reaches dgamma of the next."""

    family, killed_by, path = "special", ISOLATED, "backward, NaN in x"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma + 0 * np.roll(dgamma, 1), dbeta


class PoisonedBatchSkipped(PlainLayer):
    """Skips the update of all channels where one of them is not finite."""

    family, killed_by, path = "special", ISOLATED, "NaN or infinity in x"

    def update(self, x: Array) -> None:
        if np.isfinite(x).all():
            super().update(x)


class SubnormalsScaled(PlainLayer):
    """Takes a subnormal number for a normal one of the same digits."""

    family, killed_by, path = "inference", ("inference.output", "training.output"), "subnormal numbers in x"

    def values(self, array: Array) -> Array:
        wide = super().values(array)
        tiny = np.finfo(self.work).tiny
        return np.where((np.abs(wide) < tiny) & (wide != 0), wide / tiny, wide)


class NegativeRunningVariance(PlainLayer):
    """Subtracts what it should add when the variance is small, and goes below 0."""

    family, killed_by, path = "running", ("running.var_not_negative", "running.var"), "a constant channel, decay 0"

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean, np.where(var == 0, -np.finfo(np.float32).tiny, var))


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


class ConstantChannelsOfBareLayersSkipped(PlainLayer):
    """Takes the reciprocal root of a variance of 0 for 0, where there is no gamma: y is right, dx is not."""

    family, killed_by = "degenerate", ("degenerate.constant_channel", "gradient.training_dx")
    path = "no gamma and beta, a constant channel"

    def inv_std(self, var: Array) -> Array:
        found = super().inv_std(var)
        return found if self.config.affine else np.where(var == 0, self.work.type(0), found)
