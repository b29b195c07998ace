"""The tallies of one target: each case is judged by every clause, and counted."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bnspec.backends.worker.forward_only import NO_GRADIENTS
from bnspec.clauses import ASKED, Clause
from bnspec.conformance.checks import Check
from bnspec.conformance.checks.examination import Examination
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.conformance.judge.judge import checks_for, examine, speaks_of
from bnspec.conformance.judge.tally import J, Judged, Tally
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.vocabulary import Status
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.vocabulary import FindingVerdict

#: The clauses by which a call without an answer counts: the process survives it, in time; and it does not raise.
COMPLETES, ACCEPTS = ANSWERS = ("contract.completes", "contract.accepts")
#: The verdict of ``COMPLETES`` for a case that ended without an answer.
ENDINGS: Mapping[Status, FindingVerdict] = {"crashed": "crashed", "timeout": "timeout"}
#: The known deviation that covers a clause on a case, or None.
KnownLookup = Callable[[str, Case], KnownDeviation | None]


def with_answers(clauses: Sequence[Clause]) -> list[Clause]:
    """The clauses, and those that judge whether calls are answered at all.

    A layer that raises, or ends its process, gives nothing that another clause could judge, and must not conform by that.
    """
    asked = {*ANSWERS, *(c.id for c in clauses)}
    return [clause for name, clause in ASKED.items() if name in asked]


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


@dataclass(frozen=True)
class CaseJudgements:
    """What is said of one case on a target.

    Attributes:
        status: how it ended; judgements: by clause, None where the backend declined all that the clause asks.
        reasons: by declined clause, why; known: by broken clause, the known deviation that covers it.
        oracle_seconds: processor time that it took in the oracle.
    """

    status: Status
    judgements: Mapping[str, Judgement | None]
    reasons: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, KnownDeviation] = field(default_factory=dict)
    oracle_seconds: float = 0.0


def with_gradients_declined(
    case: Case, found: CaseJudgements, oracle: Oracle, checks: Iterable[Check]
) -> CaseJudgements:
    """The judgements of a case whose forward pass alone was asked; what it asks beyond that counts as declined."""
    beyond = speaks_of(case, oracle, [c for c in checks if c.clause not in found.judgements])
    reasons = {**dict.fromkeys(beyond, NO_GRADIENTS), **found.reasons}
    return dataclasses.replace(found, judgements={**dict.fromkeys(beyond), **found.judgements}, reasons=reasons)


class Collector:
    """All tallies of one target; ``oracle_seconds``: processor time that judging its cases took in the oracle."""

    def __init__(self, clauses: Collection[str], conventions: Conventions, known: KnownLookup = nothing_known) -> None:
        self.conventions, self.checks, self.known = conventions, checks_for(clauses), known
        self.tallies: dict[str, Tally[Judged]] = {c: Tally() for c in clauses}
        self.oracle_seconds = 0.0
        self._lock = threading.Lock()

    def collect(
        self, case: Case, observation: Observation, oracle: Oracle, order: int = 0
    ) -> dict[str, Judgement | None]:
        """Judge one case and count it; returns the judgements. ``order``: the case's number in the run. Thread-safe."""
        found = self.judged(case, observation, oracle)
        self.count(case, found, order)
        return {c: j for c, j in found.judgements.items() if c != COMPLETES}

    def judged(self, case: Case, observation: Observation, oracle: Oracle) -> CaseJudgements:
        """The judgements of one case."""
        completed = completion(case, observation)
        own = {COMPLETES: completed} if COMPLETES in self.tallies else {}
        if not completed.holds:
            covered = self.known(COMPLETES, case)
            return CaseJudgements(observation.status, own, known={} if covered is None else {COMPLETES: covered})
        exam = Examination(case, observation, self.conventions, oracle)
        judgements = examine(exam, self.checks)
        known = {c: k for c, j in judgements.items() if j and not j.holds and (k := self.known(c, case)) is not None}
        return CaseJudgements(observation.status, {**own, **judgements}, exam.reasons, known, exam.oracle_seconds)

    def count(self, case: Case, found: CaseJudgements, order: int = 0) -> None:
        """Count the judgements of one case. Thread-safe."""
        with self._lock:
            self.oracle_seconds += found.oracle_seconds
            tally_all(self.tallies, found, lambda judgement: Judged(case, judgement, order))


def tally_all(tallies: Mapping[str, Tally[J]], found: CaseJudgements, judged: Callable[[Judgement], J]) -> None:
    """Count the judgements of one case in the tallies of their clauses. ``judged``: the case with one of them."""
    for clause, judgement in found.judgements.items():
        tally = tallies[clause]
        if judgement is None:
            tally.decline(found.reasons[clause])
            continue
        one = judged(judgement)
        if clause == COMPLETES and found.status in ENDINGS:
            tally.end(ENDINGS[found.status], one.order)
        tally.add(one, found.known.get(clause))
