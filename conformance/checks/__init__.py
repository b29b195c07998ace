"""Checks, one file per family of clauses. ``CHECKS`` holds them all; each clause has exactly one."""

from bnspec.conformance.checks import (
    accuracy,
    contract,
    derivatives,
    dtypes,
    error_statistics,
    forward,
    gradients,
    masks,
    networks,
    refusals,
    relations,
    robustness,
    special,
    state,
)
from bnspec.conformance.checks import input_normalization as scaling
from bnspec.conformance.checks import layer_operations as life
from bnspec.conformance.checks.check import Check

CHECKS: tuple[Check, ...] = (
    *forward.CHECKS,
    *state.CHECKS,
    *gradients.CHECKS,
    *robustness.CHECKS,
    *special.CHECKS,
    *dtypes.CHECKS,
    *scaling.CHECKS,
    *contract.CHECKS,
    *relations.CHECKS,
    *derivatives.CHECKS,
    *life.CHECKS,
    *refusals.CHECKS,
    *masks.CHECKS,
    *networks.CHECKS,
    *accuracy.CHECKS,
    *error_statistics.CHECKS,
)

__all__ = ["CHECKS", "Check"]
