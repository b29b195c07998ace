"""Mutants whose errors have a direction: each result is within its bound, and their mean is not that of rounding to nearest."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.rounding import downward, toward_zero
from bnspec.conformance.selftest.reference.scaler import PlainScaler

Array = Any
Pair = Tuple[Array, Array]

UNBIASED = ("accuracy.errors_are_unbiased",)


def wide(values: Array) -> Array:
    """The values in float64: one more rounding remains."""
    return np.asarray(values).astype(np.float64)


class OutputTruncated(PlainLayer):
    """Truncates float32 y."""

    family, killed_by, path = "accuracy", UNBIASED, "float32"

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        if self.config.dtype != "float32":
            return super().output(x, mean, inv_std)
        return self.rounded(super().output(wide(x), mean, inv_std))

    def rounded(self, y: Array) -> Array:
        """y in float32."""
        return toward_zero(y, "float32")


class OutputRoundedDownward(OutputTruncated):
    """Rounds float32 y to the next lower number."""

    def rounded(self, y: Array) -> Array:
        return downward(y, "float32")


class OutputTruncatedInInference(OutputTruncated):
    """Truncates float32 y in inference."""

    path = "inference, float32"
    infers = False

    def infer(self, x: Array) -> Array:
        self.infers = True
        y = super().infer(x)
        self.infers = False
        return y

    def rounded(self, y: Array) -> Array:
        return super().rounded(y) if self.infers else y.astype(self.work)


class BitsDroppedForHalf(PlainLayer):
    """Makes half-precision y from float32 by dropping bits."""

    family, killed_by = "accuracy", UNBIASED
    halves: Tuple[str, ...] = ("bfloat16", "float16")

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x, mean, inv_std)
        return toward_zero(wide(y), self.config.dtype) if self.config.dtype in self.halves else y


class BitsDroppedForBfloat16(BitsDroppedForHalf):
    """Makes bfloat16 y from float32 by dropping the lower half of its bits."""

    path, halves = "bfloat16", ("bfloat16",)


class BitsDroppedForFloat16(BitsDroppedForHalf):
    """Makes float16 y from float32 by dropping bits."""

    path, halves = "float16", ("float16",)


class BitsDroppedForBfloat16Gradients(PlainLayer):
    """Makes bfloat16 dx from float32 by dropping the lower half of its bits."""

    family, killed_by, path = "accuracy", UNBIASED, "bfloat16"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        dx = super().training_dx(dy, zhat, inv_std)
        return toward_zero(wide(dx), "bfloat16") if self.config.dtype == "bfloat16" else dx


class InputGradientTruncated(PlainLayer):
    """Truncates dx of training to its dtype."""

    family, killed_by, path = "accuracy", UNBIASED, "dx of training"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return toward_zero(super().training_dx(wide(dy), zhat, inv_std), self.config.dtype)


class ParameterGradientsTruncated(PlainLayer):
    """Truncates dgamma and dbeta to their dtype."""

    family, killed_by, path = "accuracy", UNBIASED, "dgamma and dbeta"

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Pair:
        dgamma, dbeta = super().parameter_gradients(wide(dy), zhat, inv_std)
        return toward_zero(dgamma, self.config.parameter_dtype), toward_zero(dbeta, self.config.parameter_dtype)


class RunningStatisticsTruncated(PlainLayer):
    """Truncates the running statistics to their dtype."""

    family, killed_by, path = "accuracy", UNBIASED, "running statistics"

    def averaged(self, old: Array, new: Array) -> Array:
        return toward_zero(super().averaged(wide(old), new), self.config.parameter_dtype)


class VarianceTooSmall(PlainLayer):
    """Makes every variance of a batch too small by four units of roundoff."""

    family, killed_by = "accuracy", UNBIASED

    def moments(self, x: Array) -> Pair:
        mean, var = super().moments(x)
        return mean, var * self.work.type(1 - 2 * np.finfo(self.work).eps)


class ReciprocalRootTooSmall(PlainLayer):
    """Takes a reciprocal root that is too small by two units of roundoff."""

    family, killed_by = "accuracy", UNBIASED

    def inv_std(self, var: Array) -> Array:
        return super().inv_std(var) * self.work.type(1 - np.finfo(self.work).eps)


class ReciprocalRootTooLargeInGradients(PlainLayer):
    """Takes a reciprocal root that is too large by three units of roundoff in the backward pass."""

    family, killed_by, path = "accuracy", UNBIASED, "gradients of training"

    def backward_inv_std(self, var: Array) -> Array:
        return super().backward_inv_std(var) * self.work.type(1 + 2 * np.finfo(self.work).eps)


class OneNewtonStep(PlainLayer):
    """Looks up a reciprocal root of 11 bits and refines it once: the step ends below the root, wherever it begins."""

    family, killed_by, path = "accuracy", UNBIASED, "float32"

    def inv_std(self, var: Array) -> Array:
        if self.work != np.float32:
            return super().inv_std(var)
        total = wide(var + self.epsilon())
        with np.errstate(all="ignore"):
            exact = 1 / np.sqrt(total)
            begun = (exact.view(np.uint64) & ~np.uint64((1 << 41) - 1)).view(np.float64)
            refined = begun * (1.5 - 0.5 * total * begun * begun)
        return np.where(np.isfinite(exact), refined, exact).astype(self.work)


class FitTruncated(PlainScaler):
    """Truncates the fitted mean and variance to the working precision."""

    family, killed_by = "accuracy", UNBIASED

    def fit(self, chunks: Sequence[Array]) -> None:
        work, self.work = self.work, np.dtype("float64")
        super().fit(chunks)
        self.work = work
        self.mean, self.var = (toward_zero(a, work.name).astype(work) for a in (self.mean, self.var))
