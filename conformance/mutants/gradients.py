"""Mutants of the backward pass."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.mutants.plain import PlainLayer

Array = Any


class StatisticsAsConstants(PlainLayer):
    """Uses the inference formula for dx in training."""

    family, killed_by = "gradient", ("gradient.training_dx", "gradient.null_space")

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * dy


class VariancePathDropped(PlainLayer):
    """Leaves out the path through the variance."""

    family, killed_by = "gradient", ("gradient.training_dx",)

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * (dy - dy.mean(axis=self.axes, keepdims=True))


class TrainingFormulaInInference(PlainLayer):
    """Ignores the mode in the backward pass."""

    family, killed_by = "gradient", ("gradient.inference_dx",)

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.training_dx(dy, zhat, inv_std)


class GammaGradientMultiplied(PlainLayer):
    """Multiplies by the standard deviation where one divides."""

    family, killed_by = "gradient", ("gradient.training_dgamma", "gradient.inference_parameters")

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        return (dy * zhat / np.square(inv_std)).sum(axis=self.axes), dy.sum(axis=self.axes)


class ParameterGradientsSwapped(PlainLayer):
    """Returns dbeta for dgamma and the reverse."""

    family, killed_by = "gradient", ("gradient.training_dgamma", "gradient.training_dbeta")

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dbeta, dgamma


class BetaGradientAccumulates(PlainLayer):
    """Adds dbeta to that of the call before."""

    family, killed_by = "gradient", ("gradient.training_dbeta", "gradient.inference_parameters")
    kept: Any = 0

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        self.kept = self.kept + dbeta
        return dgamma, self.kept


class EpsilonMissingInBackward(PlainLayer):
    """Recomputes inv_std in the backward pass without epsilon."""

    family, killed_by = "gradient", ("gradient.training_dx",)

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        with np.errstate(all="ignore"):
            var = 1 / np.square(inv_std) - self.work.type(self.config.epsilon)
            return super().training_dx(dy, zhat, 1 / np.sqrt(var))


class MeanSubtractedTwice(PlainLayer):
    """Subtracts the mean of dy twice."""

    family, killed_by = "gradient", ("gradient.training_dx", "gradient.null_space")

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        mean = dy.mean(axis=self.axes, keepdims=True)
        return super().training_dx(dy, zhat, inv_std) - self.gamma() * inv_std * mean


MUTANTS = tuple(v for v in list(globals().values()) if isinstance(v, type) and issubclass(v, PlainLayer) and v.family)
