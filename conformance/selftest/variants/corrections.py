"""Variants with a declared correction of the variance that normalises."""

from __future__ import annotations

from typing import Any

from bnspec.conformance.selftest.reference.corrected_layer import CorrectedLayer

Array = Any


class NormalisingCorrectionDeclared(CorrectedLayer):
    """Normalises by the variance with the divisor n - 1, differentiates that, and declares it."""


class NormalisingCorrectionAlone(CorrectedLayer):
    """Normalises by the variance with the divisor n - 1, keeps a running average of that with n, and declares both."""

    declares = {**CorrectedLayer.declares, "running_correction": 0}

    def corrected(self, var: Array, count: int) -> Array:
        return var
