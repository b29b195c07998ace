"""Mutants that accept malformed calls, or change the state before raising."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.contract import Gradients

Array = Any

DATA, PARAMETERS = ("errors.malformed_data",), ("errors.malformed_parameters",)
LEFT = ("errors.leave_the_state",)
CONTINUES = ("errors.continue_as_if_not_called",)


class LongScaleCut(FullLayer):
    """Takes the first values of a gamma that is too long."""

    family, killed_by, path = "errors", PARAMETERS, "gamma of another length"

    def check_parameters(self) -> None:
        if self.raw_gamma is not None:
            self.raw_gamma = self.raw_gamma[: self.config.channels]
        super().check_parameters()


class LongShiftCut(FullLayer):
    """Takes the first values of a beta that is too long."""

    family, killed_by, path = "errors", PARAMETERS, "beta of another length"

    def check_parameters(self) -> None:
        if self.raw_beta is not None:
            self.raw_beta = self.raw_beta[: self.config.channels]
        super().check_parameters()


class LongVarianceCut(FullLayer):
    """Takes the first values of a running variance that is too long."""

    family, killed_by, path = "errors", PARAMETERS, "running variance of another length"

    def check_parameters(self) -> None:
        self.var = self.var[: self.config.channels]
        super().check_parameters()


class LongMeanFolded(FullLayer):
    """Adds up the parts of a running mean that is a multiple too long."""

    family, killed_by, path = "errors", PARAMETERS, "running mean of another length"

    def check_parameters(self) -> None:
        if self.mean.size > self.config.channels:
            self.mean = self.mean.reshape(-1, self.config.channels).sum(axis=0)
        super().check_parameters()


class ScaleFlattened(FullLayer):
    """Checks gamma by its number of values alone."""

    family, killed_by, path = "errors", PARAMETERS, "gamma of another rank"

    def check_parameters(self) -> None:
        if self.raw_gamma is not None and self.raw_gamma.size == self.config.channels:
            self.raw_gamma = self.raw_gamma.reshape(-1)
        super().check_parameters()


class ScaleBroadcastOverTheBatch(FullLayer):
    """Takes a gamma of x's rank as it is: (C, 1, 1, 1) spreads a batch of one over the batch axis."""

    family, killed_by, path = "errors", PARAMETERS, "gamma of rank 4"
    raw: Any = None

    def check_parameters(self) -> None:
        if self.raw_gamma is not None and self.raw_gamma.ndim == self.config.rank == 4:
            self.raw, self.raw_gamma = self.raw_gamma, self.raw_gamma.reshape(-1)
        super().check_parameters()

    def gamma(self) -> Array:
        return super().gamma() if self.raw is None else self.raw.astype(self.work)


class ShortShiftRepeated(FullLayer):
    """Repeats a beta that is too short."""

    family, killed_by, path = "errors", PARAMETERS, "beta of fewer values"

    def check_parameters(self) -> None:
        if self.raw_beta is not None and 1 < self.raw_beta.size < self.config.channels:
            self.raw_beta = np.resize(self.raw_beta, self.config.channels)
        super().check_parameters()


class OneShiftForAll(FullLayer):
    """Takes a beta without axes for all channels."""

    family, killed_by, path = "errors", PARAMETERS, "beta of rank 0"

    def check_parameters(self) -> None:
        if self.raw_beta is not None and self.raw_beta.ndim == 0:
            self.raw_beta = np.full(self.config.channels, self.raw_beta)
        super().check_parameters()


class OneMeanForAll(FullLayer):
    """Spreads a running mean of one value over all channels."""

    family, killed_by, path = "errors", PARAMETERS, "running mean of one value"

    def check_parameters(self) -> None:
        if self.mean.shape == (1,):
            self.mean = np.repeat(self.mean, self.config.channels)
        super().check_parameters()


class ShortVariancePadded(FullLayer):
    """Fills up a running variance that is too short with 1."""

    family, killed_by, path = "errors", PARAMETERS, "running variance of fewer values"

    def check_parameters(self) -> None:
        missing = self.config.channels - self.var.size
        if missing > 0 and self.var.ndim == 1:
            self.var = np.concatenate([self.var, np.ones(missing, self.var.dtype)])
        super().check_parameters()


class OneChannelSpread(FullLayer):
    """A layer of one channel spreads its parameters over all channels of x."""

    family, killed_by, path = "errors", DATA, "x of more channels than the one of the layer"

    def check(self, x: Array, *alike: Array) -> None:
        axis, config = self.config.channel_axis, self.config
        if config.channels == 1 and not alike and x.ndim == config.rank and x.shape[axis] > 1:
            return
        super().check(x, *alike)


class EmptyTrainedUnchecked(FullLayer):
    """Returns a batch without values before it checks its channels, in training."""

    family, killed_by, path = "errors", DATA, "empty x with other channels, training"

    def training(self, x: Array) -> Array:
        return x.copy() if not x.size else super().training(x)


class EmptyInferredUnchecked(FullLayer):
    """Returns a batch without values before it checks its channels, in inference."""

    family, killed_by, path = "errors", DATA, "empty x with other channels, inference"

    def inference(self, x: Array) -> Array:
        return x.copy() if not x.size else super().inference(x)


class _OneChannelForAll(FullLayer):
    """Has a way to spread an x of one channel over the layer's."""

    def stretched(self, x: Array) -> Array:
        """x, with one channel repeated."""
        axis = self.config.channel_axis
        return np.repeat(x, self.config.channels, axis) if x.size and x.shape[axis] == 1 else x


class OneChannelTrainsAll(_OneChannelForAll):
    """Trains all channels on an x of one."""

    family, killed_by, path = "errors", DATA, "x of one channel, training"

    def training(self, x: Array) -> Array:
        return super().training(x if self.config.channels == 1 else self.stretched(x))


class OneChannelBroadcastInInference(_OneChannelForAll):
    """Broadcasts an x of one channel, in inference."""

    family, killed_by, path = "errors", DATA, "x of one channel, inference"

    def inference(self, x: Array) -> Array:
        return super().inference(x if self.config.channels == 1 else self.stretched(x))


class ShortCotangentBroadcast(FullLayer):
    """Broadcasts a dy of one row over the batch, in training."""

    family, killed_by, path = "errors", DATA, "dy of one row, training"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        row = dy.ndim == x.ndim and dy.shape[self.axes[0]] == 1
        return super().training_gradients(x, np.broadcast_to(dy, x.shape) if row else dy)


class FlatCotangentBroadcast(FullLayer):
    """Broadcasts a dy of lower rank, in inference."""

    family, killed_by, path = "errors", DATA, "dy of lower rank, inference"

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        return super().inference_gradients(x, np.broadcast_to(dy, x.shape) if dy.ndim < x.ndim else dy)


class DeepCotangentReshaped(FullLayer):
    """Takes a dy with one axis more for its values in order, in training."""

    family, killed_by, path = "errors", DATA, "dy of higher rank, training"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        return super().training_gradients(x, dy.reshape(x.shape) if dy.ndim > x.ndim else dy)


class _Cutting(FullLayer):
    """Cuts x to its channels."""

    def cut(self, x: Array) -> Array:
        """The first channels."""
        return np.take(x, np.arange(self.config.channels), axis=self.config.channel_axis)


class SurplusChannelsCutInTraining(_Cutting):
    """Trains on the first channels of an x that has more."""

    family, killed_by, path = "errors", DATA, "x with too many channels, training"

    def training(self, x: Array) -> Array:
        return super().training(self.cut(x))


class SurplusChannelsCutInInference(_Cutting):
    """Infers the first channels of an x that has more."""

    family, killed_by, path = "errors", DATA, "x with too many channels, inference"

    def inference(self, x: Array) -> Array:
        return super().inference(self.cut(x))


class ParametersRepeated(FullLayer):
    """Repeats the parameters over the channels of an x that has a multiple of them, in inference."""

    family, killed_by, path = "errors", DATA, "x with twice as many channels, inference"

    def inference(self, x: Array) -> Array:
        parts = x.shape[self.config.channel_axis] // self.config.channels
        split = np.split(x, parts, axis=self.config.channel_axis) if parts > 1 else [x]
        return np.concatenate([super(ParametersRepeated, self).inference(p) for p in split], self.config.channel_axis)


class LongCotangentCut(FullLayer):
    """Takes the first rows of a dy that is too long, in training."""

    family, killed_by, path = "errors", DATA, "dy longer than x, training"

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        return super().training_gradients(x, dy[tuple(slice(n) for n in x.shape)])


class LongCotangentCutInInference(FullLayer):
    """Takes the first rows of a dy that is too long, in inference."""

    family, killed_by, path = "errors", DATA, "dy longer than x, inference"

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        return super().inference_gradients(x, dy[tuple(slice(n) for n in x.shape)])


class MeanMovesBeforeItRefuses(FullLayer):
    """Moves the running mean before it checks x."""

    family, killed_by, path = "errors", LEFT, "x with too many channels"

    def training(self, x: Array) -> Array:
        if x.shape[self.config.channel_axis] != self.config.channels:
            self.mean[:] = self.mean * self.mean.dtype.type(self.config.decay / 2)
        return super().training(x)


class RefusalResets(FullLayer):
    """Resets the statistics when it raises."""

    family, killed_by, path = "errors", LEFT, "x with too many channels"

    def check(self, x: Array, *alike: Array) -> None:
        try:
            super().check(x, *alike)
        except ValueError:
            self.reset()
            raise


class CountOneMovesThenRaises(FullLayer):
    """Declares that it raises for one value per channel, but moves the mean first."""

    family, killed_by, path = "errors", LEFT, "one value per channel"
    declares = {"count_one": "raises", "frozen_gradients": "constants"}

    def forward(self, x: Array) -> Array:
        if self.count(x) == 1:
            self.mean[:] = self.new_mean(self.wide(self.mean), self.average(self.values(x)), 1).reshape(-1)
            raise ValueError("more than one value per channel is needed")
        return super().forward(x)


class RefusalLeavesInferenceMode(FullLayer):
    """Enters inference mode before it checks x, and leaves it only after the call: training after a refusal infers."""

    family, killed_by, path = "errors", CONTINUES, "training after a malformed inference"
    inferring = False

    def inference(self, x: Array) -> Array:
        self.inferring = True
        y = super().inference(x)
        self.inferring = False
        return y

    def training(self, x: Array) -> Array:
        return super().inference(x) if self.inferring else super().training(x)


class RefusedBatchKept(FullLayer):
    """Keeps the mean of a batch before it checks x, and normalises the next one by what it kept."""

    family, killed_by, path = "errors", CONTINUES, "training after a malformed training"
    kept_mean: Any = None

    def training(self, x: Array) -> Array:
        if self.kept_mean is None and x.ndim == self.config.rank:
            self.kept_mean = x.astype(self.work).mean()
        y = super().training(x)
        self.kept_mean = None
        return y

    def check(self, x: Array, *alike: Array) -> None:
        super().check(x, *alike)
        mean = x.astype(self.work).mean()
        if self.kept_mean is not None and not np.array_equal(self.kept_mean, mean, equal_nan=True):
            self.mean[:] = self.mean + self.mean.dtype.type(self.kept_mean)


class RefusedCallsCount(FullLayer):
    """Counts a step before it checks x; the step after a refused first one is taken for the second, and halves gamma."""

    family, killed_by, path = "errors", CONTINUES, "training after a malformed training"
    asked = 0

    def training(self, x: Array) -> Array:
        self.asked += 1
        return super().training(x)

    def gamma(self) -> Array:
        return super().gamma() * self.work.type(0.5 if self.asked > self.steps else 1.0)
