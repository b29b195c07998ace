"""One clause on single cases of a target, as searches for smaller cases ask it."""

from __future__ import annotations

from collections.abc import Callable

from bnspec.conformance.checks.judgement import Judgement
from bnspec.conformance.judge.collector import KnownLookup, nothing_known
from bnspec.conformance.judge.judge import checks_for, judge
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.oracle import Oracle


class OneClause:
    """Runs cases for one clause.

    Attributes:
        known: the known deviations of the target: what one covers is no deviation here.
        judgements: of the cases that deviated, by their id.
    """

    def __init__(self, clause: str, conventions: Conventions, known: KnownLookup = nothing_known) -> None:
        self.clause, self.conventions, self.known = clause, conventions, known
        self.judgements: dict[str, Judgement] = {}
        self._checks = checks_for([clause])

    def deviates(self, case: Case, observe: Callable[[Case], Observation]) -> bool:
        """Whether the clause is broken on the case, and no known deviation covers that. ``observe``: runs it on the target."""
        if self.known(self.clause, case) is not None:
            return False
        observation = observe(case)
        if observation.status in ("crashed", "timeout"):
            return False
        judgement = judge(case, observation, self.conventions, Oracle(case), self._checks).get(self.clause)
        if judgement is None or judgement.holds:
            return False
        self.judgements[case.id] = judgement
        return True
