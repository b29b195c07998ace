"""The tallies of one target: each case is judged by every clause, and counted."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping

from bnspec.conformance.checks.examination import Examination
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.judge.judge import checks_for, examine
from bnspec.conformance.judge.tally import Judged, Tally
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.vocabulary import Status
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.vocabulary import FindingVerdict

COMPLETES = "contract.completes"
#: The verdict of ``COMPLETES`` for a case that ended without an answer.
ENDINGS: Mapping[Status, FindingVerdict] = {"crashed": "crashed", "timeout": "timeout"}
#: The known deviation that covers a clause on a case, or None.
KnownLookup = Callable[[str, Case], KnownDeviation | None]


def nothing_known(clause: str, case: Case) -> None:
    """The lookup of a target of which no deviation is known."""
    return


def completion(case: Case, observation: Observation) -> Judgement:
    """The judgement of contract.completes: the process survives the case, in time."""
    if observation.status not in ("crashed", "timeout"):
        return KEPT
    answered = min(len(observation.steps), len(case.steps) - 1)
    evidence = Evidence(
        step=answered,
        call=case.steps[answered].call.name,
        relation="completes",
        expected="ok",
        got=observation.status,
        ratio="inf",
    )
    return Judgement(math.inf, evidence, f"{observation.status}: {observation.message}")


class Collector:
    """All tallies of one target; ``oracle_seconds``: processor time that judging its cases took in the oracle."""

    def __init__(self, clauses: Collection[str], conventions: Conventions, known: KnownLookup = nothing_known) -> None:
        self.conventions, self.checks, self.known = conventions, checks_for(clauses), known
        self.tallies = {c: Tally() for c in clauses}
        self.oracle_seconds = 0.0
        self._lock = threading.Lock()

    def collect(
        self, case: Case, observation: Observation, oracle: Oracle, order: int = 0
    ) -> dict[str, Judgement | None]:
        """Judge one case and count it; returns the judgements. ``order``: the case's number in the run. Thread-safe."""
        completed = completion(case, observation)
        with self._lock:
            tally = self.tallies.get(COMPLETES)
            if tally is not None:
                tally.ended = tally.ended or ENDINGS.get(observation.status)
                tally.add(Judged(case, completed, order))
        if not completed.holds:
            return {}
        exam = Examination(case, observation, self.conventions, oracle)
        judgements = examine(exam, self.checks)
        known = {c: self.known(c, case) for c, j in judgements.items() if j is not None and not j.holds}
        with self._lock:
            self.oracle_seconds += exam.oracle_seconds
            for clause, judgement in judgements.items():
                if judgement is None:
                    self.tallies[clause].decline(exam.reasons[clause])
                else:
                    self.tallies[clause].add(Judged(case, judgement, order), known.get(clause))
        return judgements
