"""Mutants that declare a correction of the variance that normalises, and mix its divisor with n."""

from __future__ import annotations

from typing import Any

from bnspec.conformance.selftest.reference.corrected_layer import CorrectedLayer

Array = Any


class CorrectedVarianceWithPlainDx(CorrectedLayer):
    """Normalises with the divisor n - 1, as declared, and takes the mean of dy * zhat in dx with n."""

    family, killed_by, path = "gradient", ("gradient.training_dx",), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * (dy - self.average(dy) - zhat * self.average(dy * zhat))


class CorrectedVarianceWithCorrectedMeans(CorrectedLayer):
    """Normalises with the divisor n - 1, as declared, and takes both means in dx with n - 1."""

    family, killed_by, path = "gradient", ("gradient.training_dx", "gradient.null_space"), "backward"

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        means = self.corrected_average(dy) + zhat * self.corrected_average(dy * zhat)
        return self.gamma() * inv_std * (dy - means)


class RunningVarianceCorrectedTwice(CorrectedLayer):
    """Corrects the variance that normalises, as declared, and that again for the running variance."""

    family, killed_by = "running", ("running.var",)

    def corrected(self, var: Array, count: int) -> Array:
        return super().corrected(super().corrected(var, count), count)


class DeclaredCorrectionNotApplied(CorrectedLayer):
    """Declares the divisor n - 1 and normalises with n."""

    family, killed_by = "training", ("training.output",)

    def normalising(self, mean: Array, count: int) -> Array:
        return mean
