"""Mutants of normalisation, scale and shift, and inference."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.mutants.plain import PlainLayer

Array = Any
Moments = Tuple[Array, Array]

PER_CHANNEL = ("affine.per_channel",)
STATELESS = ("training.output", "training.ignores_running_state")
INFERENCE = ("inference.output",)


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


class OutputClipped(PlainLayer):
    """Clips y to the range of -8 to 8."""

    family, killed_by, path = "inference", INFERENCE, "|y| above 8"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return np.clip(super().output(x, mean, inv_std), -8, 8)


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


class BatchStatisticsInInference(PlainLayer):
    """Normalises in inference by the batch's own statistics."""

    family, killed_by = "inference", ("inference.output", "inference.value_is_independent_of_batch")

    def inference_statistics(self, x: Array) -> Moments:
        return self.moments(x)


class BatchStatisticsForRankThreeInference(PlainLayer):
    """Normalises sequences in inference by the batch's own statistics."""

    family, killed_by, path = "inference", INFERENCE, "inference, rank 3"

    def inference_statistics(self, x: Array) -> Moments:
        return self.moments(x) if x.ndim == 3 else super().inference_statistics(x)


class BatchStatisticsWithoutGradients(PlainLayer):
    """Normalises by the batch's own statistics in inference without gradients."""

    family, killed_by, path = "inference", INFERENCE, "inference without gradients"

    def inference(self, x: Array) -> Array:
        wide = self.values(x)
        mean, var = self.moments(wide)
        return self.output(wide, mean, self.inv_std(var)).astype(x.dtype)


class InstanceStatisticsForOneRow(PlainLayer):
    """Normalises a single row in inference by its own statistics."""

    family, killed_by, path = "inference", ("inference.value_is_independent_of_batch",), "inference, a batch of 1"

    def inference_statistics(self, x: Array) -> Moments:
        if x.shape[0] == 1 and self.config.channel_axis != 0:
            return self.moments(x)
        return super().inference_statistics(x)


class CorrectionInInference(PlainLayer):
    """Applies m / (m - 1) of the present batch to the running variance in inference."""

    family, killed_by, path = "inference", ("inference.value_is_independent_of_batch", *INFERENCE), "inference"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return mean, self.corrected(var, self.count(x))


class RunningDeviationExpected(PlainLayer):
    """Takes the running variance for a standard deviation."""

    family, killed_by, path = "inference", INFERENCE, "inference"

    def inference_inv_std(self, var: Array) -> Array:
        return super().inference_inv_std(np.square(var))


class RunningMeanForgotten(PlainLayer):
    """Divides, and does not centre, in inference."""

    family, killed_by, path = "inference", INFERENCE, "inference"

    def inference_statistics(self, x: Array) -> Moments:
        mean, var = super().inference_statistics(x)
        return np.zeros_like(mean), var


class FoldedInHalf(PlainLayer):
    """Keeps the folded scale of inference in float16."""

    family, killed_by, path = "inference", INFERENCE, "inference"

    def inference_inv_std(self, var: Array) -> Array:
        return super().inference_inv_std(var).astype(np.float16).astype(self.work)
