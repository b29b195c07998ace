"""Mutants of the running statistics, of memory, and of input normalization."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.mutants.plain import PlainLayer, PlainScaler
from bnspec.contract import Gradients

Array = Any


class MomentumComplemented(PlainLayer):
    """Gives the batch the weight of the old value."""

    family, killed_by = "running", ("running.mean", "running.var")

    def update(self, x: Array) -> None:
        mean, var = self.moments(x)
        old_mean, old_var = self.wide(self.mean), self.wide(self.var)
        self.store(self.new_mean(mean, old_mean), self.new_var(self.corrected(var, self.count(x)), old_var, 1))


class BiasedRunningVariance(PlainLayer):
    """Stores the population variance where the unbiased one is declared."""

    family, killed_by = "running", ("running.var",)

    def corrected(self, var: Array, count: int) -> Array:
        return var


class CorrectedRunningMean(PlainLayer):
    """Applies n / (n - 1) to the mean, too."""

    family, killed_by = "running", ("running.mean",)

    def new_mean(self, old: Array, mean: Array) -> Array:
        return super().new_mean(old, self.corrected(mean, 4))


class EpsilonInRunningVariance(PlainLayer):
    """Recovers the variance from inv_std and leaves epsilon in it."""

    family, killed_by = "epsilon", ("epsilon.not_in_running_variance",)

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        return super().new_var(old, 1 / np.square(self.inv_std(var)), count)


class FirstBatchOverwrites(PlainLayer):
    """Takes the first batch's statistics as they are."""

    family, killed_by = "running", ("running.mean", "running.var")
    steps = 0

    def new_mean(self, old: Array, mean: Array) -> Array:
        self.steps += 1
        return mean if self.steps == 1 else super().new_mean(old, mean)


class SecondStepLost(PlainLayer):
    """Updates the statistics at the first step only."""

    family, killed_by = "running", ("running.second_step_continues",)
    steps = 0

    def update(self, x: Array) -> None:
        self.steps += 1
        if self.steps != 2:
            super().update(x)


class UpdatedInBackwardToo(PlainLayer):
    """Moves the statistics once more when gradients are computed."""

    family, killed_by = "running", ("running.moves_once_with_gradients",)

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().training_gradients(x, dy)
        self.update(self.values(x)) if x.size else None
        return result


class ZeroMomentumIsDefault(PlainLayer):
    """Takes a weight of 0 for the new value as absent, and the default in its place."""

    family, killed_by = "running", ("running.decay_one_keeps",)

    def new_mean(self, old: Array, mean: Array) -> Array:
        return super().new_mean(old, mean) if self.config.decay != 1 else old + (mean - old) * self.work.type(0.1)


class InferenceMovesState(PlainLayer):
    """Moves the statistics in inference when gradients are recorded."""

    family, killed_by = "inference", ("inference.keeps_state",)

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().inference_gradients(x, dy)
        self.update(self.values(x)) if x.size else None
        return result


class CountOneUnguarded(PlainLayer):
    """Divides by n - 1 when n is 1."""

    family, killed_by = "degenerate", ("degenerate.count_one",)

    def corrected(self, var: Array, count: int) -> Array:
        with np.errstate(all="ignore"):
            return var * (np.asarray(count, self.work) / np.asarray(count - 1, self.work))


class EmptyBatchUnguarded(PlainLayer):
    """Updates the statistics with the mean of nothing."""

    family, killed_by = "degenerate", ("degenerate.empty_batch",)

    def training(self, x: Array) -> Array:
        if x.size == 0:
            self.store(self.wide(self.mean) * np.nan, self.wide(self.var))
        return super().training(x)


class WritesIntoInput(PlainLayer):
    """Centres x in place in training, once x is an image."""

    family, killed_by = "purity", ("purity.arguments",)

    def training(self, x: Array) -> Array:
        y = super().training(x)
        if x.ndim == 4 and x.flags.writeable:
            x -= x.mean(axis=self.axes, keepdims=True)
        return y


class WritesStateFirst(PlainLayer):
    """Moves the running statistics before it reads gamma and beta."""

    family, killed_by = "purity", ("purity.shared_arguments",)

    def training(self, x: Array) -> Array:
        if x.size == 0:
            return super().training(x)
        wide = self.values(x)
        mean, var = self.training_statistics(wide)
        self.update(wide)
        return self.output(wide, mean, self.inv_std(var)).astype(x.dtype)


class ReturnsBetaItself(PlainLayer):
    """Returns beta's own memory as dbeta."""

    family, killed_by = "purity", ("purity.results_are_new", "gradient.training_dbeta")

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        result = super().gradients(x, y, dx, dgamma, dbeta)
        return result._replace(dbeta=self.raw_beta) if self.config.affine else result


class StridesIgnored(PlainLayer):
    """Reads the memory of a permuted image as if it were packed."""

    family, killed_by = "layout", ("layout.strides",)

    def values(self, array: Array) -> Array:
        if array.ndim == 4 and not array.flags.c_contiguous and array.flags.forc is False and min(array.strides) > 0:
            order = np.argsort(array.strides)[::-1]
            packed = np.transpose(array, order)
            if packed.flags.c_contiguous:
                return packed.reshape(array.shape).astype(self.work)
        return super().values(array)


class LastAxisUnreduced(PlainLayer):
    """Forgets the last axis of rank-3 input in the variance."""

    family, killed_by = "layout", ("layout.axis",)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().moments(x)
        if x.ndim == 3 and self.config.channel_axis == 1:
            var = np.square(x - x.mean(axis=0, keepdims=True)).mean(axis=(0, 2), keepdims=True)
        return mean, var


class RunningMeanInHalf(PlainLayer):
    """Rounds the running mean to float16."""

    family, killed_by = "running", ("running.mean", "running.second_step_continues")

    def store(self, mean: Array, var: Array) -> None:
        super().store(mean.astype(np.float16), var)


class ChunkVariancesAveraged(PlainScaler):
    """Forgets the spread between chunks."""

    family, killed_by = "input", ("input.chunks_do_not_matter",)

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Tuple[int, Array, Array]:
        total, new, _ = super().merged(count, mean, squares, chunk)
        own = chunk.mean(axis=self.axes, keepdims=True)
        return total, new, squares + np.square(chunk - own).sum(axis=self.axes, keepdims=True)


class InverseAddsFirst(PlainScaler):
    """Computes (y + mean) * std."""

    family, killed_by = "input", ("input.inverse",)

    def inverse(self, y: Array) -> Array:
        return ((y.astype(self.work) + self.mean) * self.scale()).astype(y.dtype)


class TransformRefits(PlainScaler):
    """Normalises unseen data by their own statistics."""

    family, killed_by = "input", ("input.transform",)

    def transform(self, x: Array) -> Array:
        wide = x.astype(self.work)
        return ((wide - wide.mean(axis=self.axes, keepdims=True)) / self.scale()).astype(x.dtype)


MUTANTS = tuple(
    v for v in list(globals().values()) if isinstance(v, type) and issubclass(v, (PlainLayer, PlainScaler)) and v.family
)
