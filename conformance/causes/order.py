"""Which clauses are more basic than others, and which errors can follow from which."""

from __future__ import annotations

from typing import Literal

from bnspec.clauses import CLAUSES
from bnspec.conformance.causes.features import CONSTANT, NOT_FINITE
from bnspec.model.call import call_named
from bnspec.reports.run.causes import Condition
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import LEVELS

#: Families, the most basic first: what a call does to its surroundings, then results in the order in which they are computed.
BASIC = (
    "contract", "errors", "purity", "state", "degenerate", "special", "training", "epsilon", "affine", "running",
    "input", "layernorm", "inference", "gradient", "mask", "layout", "dtype", "placement", "sharded", "second_order",
)  # fmt: skip
#: Families that say something of their own only where a deviation needs one of these features, or values of these kinds.
OWN_FEATURES: dict[str, frozenset[str]] = {
    "epsilon": frozenset({"epsilon"}),
    "affine": frozenset({"gamma", "beta", "affine"}),
    "layout": frozenset({
        "layout of x", "layout of dy", "layout of the parameters", "rank", "extents", "many channels", "one channel",
    }),
    "dtype": frozenset({"dtype"}),
    "degenerate": frozenset({"count", CONSTANT}),
    "special": frozenset({NOT_FINITE}),
    "state": frozenset({"history"}),
}  # fmt: skip

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
        ("y of training", "second order"),
        ("y of inference", "gradients of inference"),
        ("y of inference", "second order"),
        ("gradients of training", "second order"),
        ("gradients of inference", "second order"),
        ("fit", "transform"),
    }
)
#: Two quantities that are computed from a common part: the batch's statistics, gamma and beta, 1 / sqrt(var + epsilon).
SIBLINGS: frozenset[frozenset[Quantity]] = frozenset(
    {
        frozenset({"statistics", "y of training"}),
        frozenset({"y of training", "y of inference"}),
        frozenset({"gradients of training", "gradients of inference"}),
    }
)


def quantity(finding: Finding) -> Quantity:
    """What of a call is wrong, from the finding's evidence."""
    evidence = finding.evidence
    if evidence is None or evidence.relation in ("returns", "raises", "completes", "repeats"):
        return "endings"
    if evidence.relation in ("unchanged", "separate_memory"):
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
    return "second order" if call.kind in ("second_order", "tangent") else "other"


def related(basic: Quantity, other: Quantity) -> Literal["follows", "siblings", "same", ""]:
    """How errors of two quantities can be one error; "": they cannot."""
    if basic == other:
        return "same"
    if basic == "effects" or (basic, other) in FOLLOWS:
        return "follows"
    return "siblings" if frozenset({basic, other}) in SIBLINGS else ""


def is_special(finding: Finding) -> bool:
    """Whether the finding's family speaks only of some features of a case."""
    return finding.family in OWN_FEATURES


def in_its_own_words(finding: Finding, conditions: tuple[Condition, ...]) -> bool:
    """Whether the clause of a special family speaks of what the deviation needs."""
    return any({c.feature, c.value} & OWN_FEATURES.get(finding.family, frozenset()) for c in conditions)


def particular(conditions: tuple[Condition, ...]) -> int:
    """How far from ordinary a case must be: what needs its values is more particular than what needs a setting."""
    return sum(2 if c.feature.startswith("values") else 1 for c in conditions)


def general_first(finding: Finding, conditions: tuple[Condition, ...], steps: int) -> tuple[int, ...]:
    """The key that orders clauses which speak of all cases.

    What a single call shows is more basic than a relation between calls; then what happens on more ordinary cases.
    """
    family = BASIC.index(finding.family) if finding.family in BASIC else len(BASIC)
    return steps, particular(conditions), family, list(CLAUSES).index(finding.clause)


def basic_first(finding: Finding, fitting: tuple[Condition, ...], general: tuple[int, ...]) -> tuple[int, ...]:
    """The key that orders the findings of one cause: levels, surroundings, special words that fit, then general ones.

    Args:
        fitting: what the cause needs; general: the finding's key of ``general_first``.
    """
    foundation = finding.family in BASIC[: BASIC.index("purity") + 1]
    fits = in_its_own_words(finding, fitting)
    place = 0 if foundation else 1 if fits else 3 if is_special(finding) else 2
    return LEVELS.index(finding.level), place, *general
