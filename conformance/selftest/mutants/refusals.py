"""Mutants that accept malformed calls, or change the state before raising."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.contract import Gradients

Array = Any

DATA, PARAMETERS = ("errors.malformed_data",), ("errors.malformed_parameters",)
LEFT = ("errors.leave_the_state",)


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
