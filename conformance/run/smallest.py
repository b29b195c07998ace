"""The smallest case that still breaks a clause on a target."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from bnspec.conformance.cases.shrinking import shrink
from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.conformance.judge.tally import Judged
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle

Observe = Callable[[Case], Observation]


def smallest(
    clause: str, failing: Judged, observe: Observe, conventions: Conventions, seconds: float
) -> tuple[Case, Judgement]:
    """The failing case shrunk for this clause alone, and its judgement there.

    Args:
        observe: runs a case on the target.
        seconds: when to stop shrinking.
    Returns: a case that fails only once is returned as it is, with evidence of the relation "repeats".
    """
    checks = checks_for([clause])
    judgements: dict[str, Judgement] = {}

    def fails(candidate: Case) -> bool:
        observation = observe(candidate)
        if observation.status in ("crashed", "timeout"):
            return False
        judgement = judge(candidate, observation, conventions, Oracle(candidate), checks).get(clause)
        if judgement is None or judgement.holds:
            return False
        judgements[candidate.id] = judgement
        return True

    if not fails(failing.case):
        return failing.case, not_repeated(failing.judgement)
    found = shrink(failing.case, fails, seconds)
    return found, judgements[found.id]


def not_repeated(first: Judgement) -> Judgement:
    """The judgement of a deviation that did not happen again: what was observed first stays on record."""
    assert first.evidence is not None  # it is of a case that deviates
    evidence = msgspec.structs.replace(first.evidence, relation="repeats", ratio="inf")
    return Judgement(math.inf, evidence, f"observed once, and not again when the case was repeated: {first.message}")
