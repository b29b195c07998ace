"""Mutants of normalisation in training, and of scale and shift."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer

Array = Any
Moments = Tuple[Array, Array]

PER_CHANNEL = ("affine.per_channel",)
STATELESS = ("training.output", "training.ignores_running_state")


class RunningStatisticsInTraining(PlainLayer):
    """Normalises in training by the running statistics."""

    family, killed_by = "training", STATELESS

    def training_statistics(self, x: Array) -> Moments:
        return self.wide(self.mean), self.wide(self.var)


class RunningVarianceInTraining(PlainLayer):
    """Normalises in training by the batch mean and the running variance."""

    family, killed_by = "training", STATELESS

    def training_statistics(self, x: Array) -> Moments:
        return self.moments(x)[0], self.wide(self.var)


class BlendedStatisticsInTraining(PlainLayer):
    """Normalises in training by the running statistics after the step."""

    family, killed_by = "training", STATELESS

    def training_statistics(self, x: Array) -> Moments:
        mean, var = self.moments(x)
        return self.averaged(self.wide(self.mean), mean), self.averaged(self.wide(self.var), var)


class RunningStatisticsFromTheSecondStep(PlainLayer):
    """Normalises by the batch in the first training step and by the running statistics in later ones."""

    family, killed_by, path = "training", STATELESS, "second step"

    def training_statistics(self, x: Array) -> Moments:
        return self.moments(x) if self.steps == 1 else (self.wide(self.mean), self.wide(self.var))


class RunningStatisticsWithoutGradients(PlainLayer):
    """Takes a training forward pass without gradients for inference; the state moves all the same."""

    family, killed_by, path = "training", STATELESS, "training without gradients"

    def training(self, x: Array) -> Array:
        y = self.infer(x)
        self.forward(x)
        return y


class RunningStatisticsAtDecayOne(PlainLayer):
    """Takes a decay of 1 for frozen statistics and normalises by them."""

    family, killed_by, path = "training", STATELESS, "decay 1"

    def training_statistics(self, x: Array) -> Moments:
        return (self.wide(self.mean), self.wide(self.var)) if self.config.decay == 1 else self.moments(x)


class MeanKeptWithoutAffine(PlainLayer):
    """Only divides, and does not centre, where there are no gamma and beta."""

    family, killed_by, path = "affine", ("affine.absent_is_identity",), "no gamma and beta"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return super().output(x, mean, inv_std) if self.config.affine else x * inv_std


class GammaReversed(PlainLayer):
    """Takes the scales in the reverse order."""

    family, killed_by = "affine", PER_CHANNEL

    def gamma(self) -> Array:
        return self.broad(super().gamma().reshape(-1)[::-1])


class GammaAbsolute(PlainLayer):
    """Takes the size of gamma, not its sign."""

    family, killed_by, path = "affine", PER_CHANNEL, "negative gamma"

    def gamma(self) -> Array:
        return np.abs(super().gamma())


class GammaNotBelowZero(PlainLayer):
    """Takes a negative gamma for 0."""

    family, killed_by, path = "affine", PER_CHANNEL, "negative gamma"

    def gamma(self) -> Array:
        return np.maximum(super().gamma(), 0)


class GammaOfTheFirstChannel(PlainLayer):
    """Scales all channels by the first one's gamma."""

    family, killed_by = "affine", PER_CHANNEL

    def gamma(self) -> Array:
        return np.broadcast_to(super().gamma().reshape(-1)[:1], self.config.channel_shape)


class GammaFixed(PlainLayer):
    """Takes 1 for gamma."""

    family, killed_by = "affine", PER_CHANNEL

    def gamma(self) -> Array:
        return np.ones_like(super().gamma())


class GammaFromZero(PlainLayer):
    """Scales by 1 + gamma."""

    family, killed_by = "affine", PER_CHANNEL

    def gamma(self) -> Array:
        return super().gamma() + (0 if self.raw_gamma is None else 1)


class BetaScaledToo(PlainLayer):
    """Adds beta before the product with gamma."""

    family, killed_by = "affine", PER_CHANNEL

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return ((x - mean) * inv_std + self.beta()) * self.gamma()


class BetaForgottenInInference(PlainLayer):
    """Leaves beta out in inference, as a fold that keeps the scale only."""

    family, killed_by, path = "affine", PER_CHANNEL, "inference"

    def infer(self, x: Array) -> Array:
        shift, self.raw_beta = self.raw_beta, None
        y = super().infer(x)
        self.raw_beta = shift
        return y


class BetaOfFirstChannelForRankTwo(PlainLayer):
    """Adds the first channel's beta to all, where x is a matrix."""

    family, killed_by, path = "affine", PER_CHANNEL, "rank 2"

    def beta(self) -> Array:
        beta = super().beta()
        return beta[:, :1] if self.config.rank == 2 else beta


class DefaultShiftOfOne(PlainLayer):
    """Takes 1, not 0, for an absent beta."""

    family, killed_by, path = "affine", ("affine.absent_is_identity",), "no gamma and beta"

    def beta(self) -> Array:
        return super().beta() + self.work.type(self.raw_beta is None)


class ZeroGammaIsOne(PlainLayer):
    """Takes a gamma of 0 for an absent one."""

    family, killed_by, path = "affine", ("affine.zero_gamma_gives_beta",), "gamma 0"

    def gamma(self) -> Array:
        gamma = super().gamma()
        return np.where(gamma == 0, self.work.type(1), gamma)


class ZeroGammaNudged(PlainLayer):
    """Takes 1e-7 for a gamma of 0, so that it can be divided by."""

    family, killed_by, path = "affine", ("affine.zero_gamma_gives_beta",), "gamma 0"

    def gamma(self) -> Array:
        gamma = super().gamma()
        return np.where(gamma == 0, self.work.type(1e-7), gamma)


class BetaLostAtZeroGamma(PlainLayer):
    """Skips channels whose gamma is 0, and their beta with them."""

    family, killed_by, path = "affine", ("affine.zero_gamma_gives_beta",), "gamma 0"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return np.where(self.gamma() == 0, self.work.type(0), super().output(x, mean, inv_std))


class ScaleOnlyBesideAShift(PlainLayer):
    """Leaves out scale and shift where every beta is 0."""

    family, killed_by, path = "affine", PER_CHANNEL, "beta of 0"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return super().output(x, mean, inv_std) if self.beta().any() else (x - mean) * inv_std


class ShiftOnlyBesideAScale(PlainLayer):
    """Leaves out scale and shift where every gamma is 1."""

    family, killed_by, path = "affine", PER_CHANNEL, "gamma of 1"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return (x - mean) * inv_std if (self.gamma() == 1).all() else super().output(x, mean, inv_std)


class FaintGammaFlushed(PlainLayer):
    """Takes a gamma below 10^-4 for 0."""

    family, killed_by, path = "affine", ("affine.per_channel", "gradient.training_dx"), "a gamma of 2^-24"

    def gamma(self) -> Array:
        gamma = super().gamma()
        return np.where(np.abs(gamma) < 1e-4, self.work.type(0), gamma)


class NormalisedValuesClipped(PlainLayer):
    """Clips what it has normalised in training to 16 standard deviations."""

    family, killed_by, path = "training", ("training.output",), "values far outside"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if mean is self.__dict__.get("running"):
            return super().output(x, mean, inv_std)
        limit = self.work.type(16) / inv_std
        return super().output(np.clip(x, mean - limit, mean + limit), mean, inv_std)

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        self.running, var = super().inference_statistics(x)
        return self.running, var
