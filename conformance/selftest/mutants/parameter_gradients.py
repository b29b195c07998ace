"""Mutants of dgamma and dbeta, and of the cotangent that enters them."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any
Pair = Tuple[Array, Array]

DX, DGAMMA, DBETA = ("gradient.training_dx",), ("gradient.training_dgamma",), ("gradient.training_dbeta",)
INFERENCE_DX, INFERENCE_PARAMETERS = ("gradient.inference_dx",), ("gradient.inference_parameters",)


class GammaGradientMultiplied(PlainLayer):
    """Multiplies by the standard deviation where one divides."""

    family, killed_by, path = "gradient", (*DGAMMA, *INFERENCE_PARAMETERS), "backward"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        return (dy * zhat / np.square(inv_std)).sum(axis=self.axes), dy.sum(axis=self.axes)


class GammaGradientUncentred(PlainLayer):
    """Forms dgamma as the sum of dy x inv_std, without the mean."""

    family, killed_by, path = "gradient", (*DGAMMA, *INFERENCE_PARAMETERS), "backward"
    uncentred: Any = None

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        self.uncentred = self.values(x)
        return super().training_gradients(x, dy)

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        self.uncentred = self.values(x)
        return super().inference_gradients(x, dy)

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        return (dy * self.uncentred * inv_std).sum(axis=self.axes), dy.sum(axis=self.axes)


class ParameterGradientsSwapped(PlainLayer):
    """Returns dbeta for dgamma and the reverse."""

    family, killed_by, path = "gradient", (*DGAMMA, *DBETA), "backward"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dbeta, dgamma


class ParameterGradientsAveraged(PlainLayer):
    """Averages over the batch where one sums."""

    family, killed_by, path = "gradient", (*DGAMMA, *DBETA), "backward"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma / self.work.type(self.count(dy)), dbeta / self.work.type(self.count(dy))


class BetaGradientScaled(PlainLayer):
    """Multiplies dbeta by gamma."""

    family, killed_by, path = "gradient", DBETA, "backward"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, dbeta * self.gamma().reshape(-1)


class BetaGradientAccumulates(PlainLayer):
    """Adds dbeta to that of the call before."""

    family, killed_by, path = "gradient", (*DBETA, *INFERENCE_PARAMETERS), "second backward"
    kept: Any = 0

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dgamma, dbeta = super().parameter_gradients(dy, zhat, inv_std)
        self.kept = self.kept + dbeta
        return dgamma, self.kept


class BetaGradientOverPackedRows(PlainLayer):
    """Sums dy as if the channel axis were the last, whatever it is."""

    family, killed_by, path = "gradient", (*DBETA, *INFERENCE_PARAMETERS), "backward, rank above 2"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dgamma, _ = super().parameter_gradients(dy, zhat, inv_std)
        return dgamma, np.ascontiguousarray(dy).reshape(-1, self.config.channels).sum(axis=0)


class FusedActivationMask(PlainLayer):
    """Passes on dy only where the normalised value is positive, for an activation that is not there."""

    family, killed_by, path = "gradient", (*DX, *DGAMMA, *DBETA), "backward"

    def cotangent(self, dy: Array) -> Array:
        return super().cotangent(dy) * self.mask

    mask: Any = 1

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        if x.size:
            self.mask = self.values(x) > self.average(self.values(x))
        result = super().training_gradients(x, dy)
        self.mask = 1
        return result


class CotangentClipped(PlainLayer):
    """Clips dy to the range of -2 to 2."""

    family, killed_by, path = "gradient", (*DX, *INFERENCE_DX), "|dy| above 2"

    def cotangent(self, dy: Array) -> Array:
        return np.clip(super().cotangent(dy), -2, 2)


class CotangentCentredInInference(PlainLayer):
    """Takes the mean out of dy before dx of inference is formed."""

    family, killed_by, path = "gradient", INFERENCE_DX, "inference backward"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return super().inference_dx(dy - self.average(dy), zhat, inv_std)


class MeansInHalf(PlainLayer):
    """Rounds the means inside dx to float16."""

    family, killed_by, path = "gradient", (*DX, "gradient.training_is_stable"), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        a, b = (self.average(v).astype(np.float16).astype(self.work) for v in (dy, dy * zhat))
        return self.gamma() * inv_std * (dy - a - zhat * b)


class GammaGradientMissing(PlainLayer):
    """Returns None for dgamma, though gamma exists."""

    family, killed_by, path = "contract", ("contract.shapes",), "inference backward"

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        return super().inference_gradients(x, dy)._replace(dgamma=None)


class TinyCotangentIsNone(PlainLayer):
    """Ends the backward pass at once where no dy exceeds 1e-12: dx is 0."""

    family, killed_by, path = "gradient", DX, "a tiny dy"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        dx = super().training_dx(dy, zhat, inv_std)
        return np.zeros_like(dx) if np.abs(dy).max(initial=0) < 1e-12 else dx


class TinyCotangentIsNoneInInference(PlainLayer):
    """Takes each dy below 1e-10 for 0 in inference."""

    family, killed_by, path = "gradient", ("gradient.inference_dx",), "a tiny dy, inference"

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return super().inference_dx(np.where(np.abs(dy) < 1e-10, dy.dtype.type(0), dy), zhat, inv_std)
