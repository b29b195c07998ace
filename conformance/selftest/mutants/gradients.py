"""Mutants of dx, and of the statistics used by the backward pass."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any
Pair = Tuple[Array, Array]

DX, DGAMMA = ("gradient.training_dx",), ("gradient.training_dgamma",)
INFERENCE_DX, INFERENCE_PARAMETERS = ("gradient.inference_dx",), ("gradient.inference_parameters",)


class StatisticsAsConstants(PlainLayer):
    """Uses the inference formula for dx in training."""

    family, killed_by, path = "gradient", (*DX, "gradient.null_space"), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.inference_dx(dy, zhat, inv_std)


class StatisticsAsConstantsForRankFive(PlainLayer):
    """Uses the inference formula for dx of volumes in training."""

    family, killed_by, path = "gradient", DX, "backward, rank 5"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        formula = self.inference_dx if dy.ndim == 5 else super().training_dx
        return formula(dy, zhat, inv_std)


class VariancePathDropped(PlainLayer):
    """Leaves out the path through the variance."""

    family, killed_by, path = "gradient", DX, "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * (dy - self.average(dy))


class MeanPathDropped(PlainLayer):
    """Leaves out the path through the mean."""

    family, killed_by, path = "gradient", (*DX, "gradient.null_space"), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * (dy - zhat * self.average(dy * zhat))


class MeanSubtractedTwice(PlainLayer):
    """Subtracts the mean of dy twice."""

    family, killed_by, path = "gradient", (*DX, "gradient.null_space"), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return super().training_dx(dy, zhat, inv_std) - self.gamma() * inv_std * self.average(dy)


class VariancePathSigned(PlainLayer):
    """Adds the path through the variance where it is subtracted."""

    family, killed_by, path = "gradient", DX, "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * (dy - self.average(dy) + zhat * self.average(dy * zhat))


class MeansByCountMinusOne(PlainLayer):
    """Divides the sums inside dx by m - 1."""

    family, killed_by, path = "gradient", DX, "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        factor = self.work.type(self.count(dy) / max(self.count(dy) - 1, 1))
        return self.gamma() * inv_std * (dy - factor * (self.average(dy) + zhat * self.average(dy * zhat)))


class MeansOverTheBatchAxis(PlainLayer):
    """Takes the means inside dx over the batch axis alone."""

    family, killed_by, path = "gradient", DX, "backward, rank above 2"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        axis = 0 if self.config.channel_axis else 1
        a, b = (v.mean(axis=axis, keepdims=True) for v in (dy, dy * zhat))
        return self.gamma() * inv_std * (dy - a - zhat * b)


class GammaForgottenInDx(PlainLayer):
    """Leaves gamma out of dx."""

    family, killed_by, path = "gradient", DX, "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return inv_std * (dy - self.average(dy) - zhat * self.average(dy * zhat))


class GammaReversedInBackward(PlainLayer):
    """Takes the scales in the reverse order in dx, in both modes."""

    family, killed_by, path = "gradient", (*DX, *INFERENCE_DX), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        flipped = self.broad(self.gamma().reshape(-1)[::-1])
        return flipped * inv_std * (dy - self.average(dy) - zhat * self.average(dy * zhat))

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.broad(self.gamma().reshape(-1)[::-1]) * inv_std * dy


class GammaAbsoluteInInferenceDx(PlainLayer):
    """Takes the size of gamma in dx of inference."""

    family, killed_by, path = "gradient", INFERENCE_DX, "inference backward, negative gamma"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return np.abs(self.gamma()) * inv_std * dy


class InvStdTwiceInDx(PlainLayer):
    """Divides dx of inference by the variance."""

    family, killed_by, path = "gradient", INFERENCE_DX, "inference backward"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return super().inference_dx(dy, zhat, inv_std) * inv_std


class TrainingFormulaInInference(PlainLayer):
    """Ignores the mode in the backward pass."""

    family, killed_by, path = "gradient", INFERENCE_DX, "inference backward"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.training_dx(dy, zhat, inv_std)


class TrainingFormulaInInferenceOfImages(PlainLayer):
    """Ignores the mode in the backward pass of images."""

    family, killed_by, path = "gradient", INFERENCE_DX, "inference backward, rank 4"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        formula = self.training_dx if dy.ndim == 4 else super().inference_dx
        return formula(dy, zhat, inv_std)


class InvStdInvertedAgain(PlainLayer):
    """Takes the saved inv_std for a variance: rsqrt(inv_std + epsilon)."""

    family, killed_by, path = "gradient", (*DX, *DGAMMA), "backward"

    def backward_inv_std(self, var: Array) -> Array:
        return super().backward_inv_std(super().backward_inv_std(var))


class VarianceTakenForInvStd(PlainLayer):
    """Takes the saved variance for inv_std."""

    family, killed_by, path = "gradient", (*DX, *DGAMMA), "backward"

    def backward_inv_std(self, var: Array) -> Array:
        return var


class RunningStatisticsInBackward(PlainLayer):
    """Normalises by the running statistics in the backward pass of training."""

    family, killed_by, path = "gradient", (*DX, *DGAMMA), "backward"

    def backward_statistics(self, x: Array) -> Pair:
        return self.wide(self.mean), self.wide(self.var)


class BatchStatisticsInInferenceBackward(PlainLayer):
    """Forms dgamma of inference with the batch's own statistics."""

    family, killed_by, path = "gradient", INFERENCE_PARAMETERS, "inference backward"
    batch: Any = None

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        result = super().inference_gradients(x, dy)
        wide, cotangent = self.values(x), self.cotangent(dy)
        mean, var = self.moments(wide)
        dgamma = (cotangent * (wide - mean) * self.inv_std(var)).sum(axis=self.axes)
        return result._replace(dgamma=dgamma.astype(self.mean.dtype)) if self.config.affine else result
