"""Checks, one file per family of clauses. ``CHECKS`` holds them all; each clause has exactly one."""

from bnspec.conformance.checks import (
    contract,
    derivatives,
    forward,
    gradients,
    life,
    masks,
    networks,
    refusals,
    relations,
    robustness,
    scaling,
    state,
)
from bnspec.conformance.checks.check import Check

CHECKS: tuple[Check, ...] = (
    *forward.CHECKS,
    *state.CHECKS,
    *gradients.CHECKS,
    *robustness.CHECKS,
    *scaling.CHECKS,
    *contract.CHECKS,
    *relations.CHECKS,
    *derivatives.CHECKS,
    *life.CHECKS,
    *refusals.CHECKS,
    *masks.CHECKS,
    *networks.CHECKS,
)

__all__ = ["CHECKS", "Check"]
