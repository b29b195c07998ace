"""Variants of form: the same functions of the statistics in other algebraic forms."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.full_layer import FullLayer
from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.contract import Gradients

Array = Any
Pair = Tuple[Array, Array]


class Folded(PlainLayer):
    """y = x * a + b with a = gamma * inv_std and b = beta - mean * a."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        scale = self.gamma() * inv_std
        return x * scale + (self.beta() - mean * scale)


class FoldedInInferenceOnly(PlainLayer):
    """Folds in inference, and centres first in training."""

    def infer(self, x: Array) -> Array:
        wide = self.values(x)
        mean, var = self.inference_statistics(wide)
        scale = self.gamma() * self.inference_inv_std(var)
        return (wide * scale + (self.beta() - mean * scale)).astype(self.result_dtype(x))


class FusedMultiplyAdd(PlainLayer):
    """y = fma(x - mean, scale, beta), rounded once."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        parts = [np.asarray(v, np.float64) for v in (x - mean, self.gamma() * inv_std, self.beta())]
        return (parts[0] * parts[1] + parts[2]).astype(self.work)


class DividesByDeviation(PlainLayer):
    """Divides by sqrt(var + epsilon), and does not multiply by its reciprocal."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return (x - mean) / (1 / inv_std) * self.gamma() + self.beta()

    def inv_std(self, var: Array) -> Array:
        return self.work.type(1) / np.sqrt(var + self.epsilon())


class ScalesFirst(PlainLayer):
    """Multiplies gamma and inv_std first, then the centred value."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return (self.gamma() * inv_std) * (x - mean) + self.beta()


class NewtonRoot(PlainLayer):
    """Reciprocal root from a poor start and four to six Newton steps, as vector units do it."""

    def inv_std(self, var: Array) -> Array:
        total = var + self.epsilon()
        with np.errstate(all="ignore"):
            exact = 1 / np.sqrt(total)
            root = exact * self.work.type(1.01)
            for _ in range(4 if self.work == np.float32 else 6):
                root = root * (self.work.type(1.5) - (self.work.type(0.5) * total * root) * root)
        return np.where(np.isfinite(root) & (root > 0), root, exact)


class PowerRoot(PlainLayer):
    """(var + epsilon) ** -0.5."""

    def inv_std(self, var: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.power(var + self.epsilon(), self.work.type(-0.5))


class ReciprocalThenRoot(PlainLayer):
    """sqrt(1 / (var + epsilon))."""

    def inv_std(self, var: Array) -> Array:
        return np.sqrt(self.work.type(1) / (var + self.epsilon()))


class DifferenceUpdate(PlainLayer):
    """old + (1 - decay) * (new - old)."""

    def averaged(self, old: Array, new: Array) -> Array:
        return old + self.work.type(1 - self.config.decay) * (new - old)


class SubtractingUpdate(PlainLayer):
    """old - (old - new) * momentum, as the assign-moving-average kernels do."""

    def averaged(self, old: Array, new: Array) -> Array:
        return old - (old - new) * self.work.type(1 - self.config.decay)


class InterpolatedUpdate(PlainLayer):
    """new + decay * (old - new), rounded once by a fused multiply-add."""

    def averaged(self, old: Array, new: Array) -> Array:
        wide = (old - new).astype(np.float64) * self.config.decay + new.astype(np.float64)
        return wide.astype(self.work)


class UpdateInDouble(PlainLayer):
    """Averages in float64 and stores in the parameters' dtype."""

    def averaged(self, old: Array, new: Array) -> Array:
        return self.config.decay * old.astype(np.float64) + (1 - self.config.decay) * new.astype(np.float64)


class CorrectionByDivision(PlainLayer):
    """Divides the squared deviations by m - 1 directly."""

    def corrected(self, var: Array, count: int) -> Array:
        return var * self.work.type(count) / self.work.type(count - 1) if count > 1 else var


class CorrectionFoldedIntoWeight(PlainLayer):
    """Multiplies the new value's weight by m / (m - 1), as frameworks that add to a buffer do."""

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        weight = (1 - self.config.decay) * (count / (count - 1) if count > 1 else 1.0)
        return self.decay() * old + self.work.type(weight) * var


class SummedGradient(PlainLayer):
    """dx = gamma inv_std / m (m dy - sum dy - zhat sum(dy zhat)), as kernels write it."""

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        count = self.work.type(self.count(dy))
        a, b = (self.broad(self.total(v)) for v in (dy, dy * zhat))
        return self.gamma() * inv_std / count * (count * dy - a - zhat * b)


class GradientFromSums(PlainLayer):
    """Takes A and B from dbeta and dgamma: dx = gamma inv_std (dy - (dbeta + zhat dgamma) / m)."""

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        dgamma, dbeta = (self.broad(v) for v in self.parameter_gradients(dy, zhat, inv_std))
        return self.gamma() * inv_std * (dy - (dbeta + zhat * dgamma) * self.work.type(1 / self.count(dy)))


class _FromInput(PlainLayer):
    """Forms gradients from x, mean and inv_std, without the normalised value."""

    x: Any = None
    shift: Any = None

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        if x.size:
            self.x = self.values(x)
            self.shift = self.backward_statistics(self.x)[0]
        return super().training_gradients(x, dy)

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        self.x = self.values(x)
        self.shift = self.inference_statistics(self.x)[0]
        return super().inference_gradients(x, dy)


class FoldedGradient(_FromInput):
    """dx = a dy + b x + c with one a, b and c per channel."""

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        a = self.gamma() * inv_std
        b = -a * self.average(dy * zhat) * inv_std
        return a * dy + b * self.x + (-a * self.average(dy) - b * self.shift)


class CentredGradient(_FromInput):
    """Works on x - mean throughout: dx = gamma inv_std (dy - A - (x - mean) inv_std^2 mean(dy (x - mean)))."""

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        d = self.x - self.shift
        return self.gamma() * inv_std * (dy - self.average(dy) - d * np.square(inv_std) * self.average(dy * d))


class GammaGradientFromProducts(_FromInput):
    """dgamma = inv_std (sum(dy x) - mean sum(dy))."""

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dbeta = self.broad(self.total(dy))
        dgamma = inv_std * (self.broad(self.total(dy * self.x)) - self.shift * dbeta)
        return dgamma.reshape(-1), dbeta.reshape(-1)


class GammaGradientScaledLast(_FromInput):
    """dgamma = inv_std sum(dy (x - mean))."""

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        products = self.broad(self.total(dy * (self.x - self.shift)))
        return (inv_std * products).reshape(-1), self.total(dy)


class DifferentiatedGraph(_FromInput):
    """dx as the derivative of the computation's own steps: through the variance, the mean and the centred value."""

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        d, count = self.x - self.shift, self.work.type(self.count(dy))
        dz = dy * self.gamma()
        through_root = self.broad(self.total(dz * d))
        dvar = through_root * self.work.type(-0.5) * inv_std * inv_std * inv_std
        dd = dz * inv_std + self.work.type(2) * d * (dvar / count)
        return dd - self.broad(self.total(dd)) / count


class IntegersInDouble(PlainLayer):
    """Computes integers in float64, and returns float64 for them."""

    def values(self, array: Array) -> Array:
        return array.astype(np.float64) if array.dtype.kind in "iub" else super().values(array)

    def result_dtype(self, x: Array) -> Any:
        return np.dtype("float64") if x.dtype.kind in "iub" else super().result_dtype(x)


class IntegersRefused(PlainLayer):
    """Raises for integers."""

    def values(self, array: Array) -> Array:
        if array.dtype.kind in "iub":
            raise TypeError("x of dtype %s" % array.dtype)
        return super().values(array)


class NothingKeptIsRefused(FullLayer):
    """Raises where a mask keeps nothing."""

    def has_moments(self, mask: Array) -> bool:
        if not mask.any():
            raise ValueError("the mask keeps nothing")
        return True
