"""What of a call is wrong, and which errors can show in which."""

from __future__ import annotations

from typing import Literal

from bnspec.model.call import call_named
from bnspec.reports.run.records import Finding

#: Says what a layer is before any call: every call shows its error.
BEFORE_ANY_CALL = "state.starts_as_given"
Quantity = Literal[
    "effects", "endings", "statistics", "y of training", "y of inference", "gradients of training",
    "gradients of inference", "second order", "fit", "transform", "learn", "other",
]  # fmt: skip
#: Errors of the first can show in the second, which may have errors of its own.
FOLLOWS: frozenset[tuple[Quantity, Quantity]] = frozenset(
    {
        ("statistics", "y of inference"),
        ("statistics", "gradients of inference"),
        ("y of training", "gradients of training"),
        ("y of training", "gradients of inference"),
        ("y of training", "second order"),
        ("y of inference", "gradients of inference"),
        ("y of inference", "second order"),
        ("gradients of training", "second order"),
        ("gradients of inference", "second order"),
        ("fit", "transform"),
        ("statistics", "learn"),
        ("y of training", "learn"),
        ("gradients of training", "learn"),
        ("y of inference", "learn"),
    }
)
#: What inference computes: errors of the statistics show in it, once a training step has made them, and nothing of training follows from it.
OF_INFERENCE: tuple[Quantity, ...] = ("y of inference", "gradients of inference")
#: First derivatives.
GRADIENTS: tuple[Quantity, ...] = ("gradients of training", "gradients of inference")
#: What training computes of a call's own batch.
OF_TRAINING: tuple[Quantity, ...] = ("y of training", "gradients of training")
#: What a frozen layer computes in training.
FROZEN: dict[Quantity, Quantity] = {
    "y of training": "y of inference",
    "gradients of training": "gradients of inference",
}
#: One result in both modes.
BOTH_MODES: frozenset[frozenset[Quantity]] = frozenset(
    {
        frozenset({"y of training", "y of inference"}),
        frozenset({"gradients of training", "gradients of inference"}),
    }
)
#: Two quantities that are computed from a common part: the batch's statistics, gamma and beta, 1 / sqrt(var + epsilon).
COMMON: frozenset[frozenset[Quantity]] = frozenset({frozenset({"statistics", "y of training"})})
SIBLINGS = BOTH_MODES | COMMON
#: How often a quantity is differentiated.
DERIVATIVES: dict[Quantity, int] = {"gradients of training": 1, "gradients of inference": 1, "second order": 2}


def quantity(finding: Finding) -> Quantity:
    """What of a call is wrong, from the finding's evidence."""
    evidence = finding.evidence
    if evidence is None or evidence.relation in ("returns", "raises", "completes", "repeats"):
        return "endings"
    if evidence.relation in ("unchanged", "separate_memory", "inside") or finding.clause == BEFORE_ANY_CALL:
        return "effects"
    call = call_named(evidence.call)
    if call.kind in ("fit", "learn"):
        return "fit" if call.kind == "fit" else "learn"
    if call.kind in ("transform", "inverse"):
        return "transform"
    output = evidence.output or ""
    if output.startswith("running_") or call.mode is None:
        return "statistics"
    training = call.mode == "training"
    if output == "y":
        return "y of training" if training else "y of inference"
    if output in ("dx", "dgamma", "dbeta"):
        return "gradients of training" if training else "gradients of inference"
    return "second order" if call.kind in ("second_order", "third_order", "tangent_gradient", "tangent") else "other"


def related(basic: Quantity, other: Quantity) -> Literal["follows", "siblings", "same", ""]:
    """How errors of two quantities can be one error; "": they cannot."""
    if basic == other:
        return "same"
    if basic == "effects" or (basic, other) in FOLLOWS:
        return "follows"
    return "siblings" if frozenset({basic, other}) in SIBLINGS else ""
