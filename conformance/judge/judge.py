"""The judge: one observation, every clause that can use it. ``pytest conformance`` and ``bnspec verify`` are loops over it."""

from __future__ import annotations

import dataclasses
import math
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np

from bnspec.clauses import CLAUSES
from bnspec.conformance.checks import CHECKS, Check
from bnspec.conformance.checks.examination import Examination, Judgement, Mask
from bnspec.model.case import Case, shares_state
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.vocabulary import Status
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.codec import plain
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FindingVerdict

COMPLETES = "contract.completes"
#: Verdicts that say that a clause is not kept.
FAILING: tuple[FindingVerdict, ...] = ("deviates", "crashed", "timeout")
#: What a case that ended without an answer says of ``COMPLETES``.
ENDINGS: Mapping[Status, FindingVerdict] = {"crashed": "crashed", "timeout": "timeout"}
#: The known deviation that covers a clause on a case, as "class: reason", or nothing.
Excuse = Callable[[str, Case], str]


@dataclasses.dataclass
class Tally:
    """What has been seen of one clause on one target.

    Attributes:
        cases, failures, declined: how many cases were judged, deviated, or were declined where the clause asks.
        worst, worst_case: the judgement with the largest ratio, and its case.
        failing: the smallest case that deviates.
        excused: failures on cases that a known deviation covers; reasons: theirs.
        ended: "crashed" or "timeout" if a case ended so (of the clause contract.completes), else None.
    """

    cases: int = 0
    failures: int = 0
    declined: int = 0
    worst: Judgement | None = None
    worst_case: Case | None = None
    failing: Case | None = None
    ended: FindingVerdict | None = None
    excused: int = 0
    reasons: dict[str, None] = dataclasses.field(default_factory=dict)
    worst_order: int = 0
    failing_order: int = 0

    def add(self, case: Case, judgement: Judgement, known: str = "", order: int = 0) -> None:
        """Count one judged case; ``known`` says which known deviation covers it, if one does.

        ``order``: the case's number in the run: of equals the first is kept, in whatever order they are heard.
        """
        self.cases += 1
        if self.worst is None or (judgement.ratio, -order) > (self.worst.ratio, -self.worst_order):
            self.worst, self.worst_case, self.worst_order = judgement, case, order
        if not judgement.holds:
            self.failures += 1
            if known:
                self.excused += 1
                self.reasons[known] = None
            if self.failing is None or (_size(case), order) < (_size(self.failing), self.failing_order):
                self.failing, self.failing_order = case, order

    @property
    def verdict(self) -> FindingVerdict:
        """What is said of the clause."""
        if self.ended:
            return "crashed" if self.ended == "crashed" else "timeout"
        if self.failures:
            return "deviates"
        if self.cases:
            return "conforms"
        return "declined" if self.declined else "not_exercised"


def _size(case: Case) -> int:
    return sum(a.size for a in case.arrays.values())


def checks_for(clauses: Collection[str]) -> list[Check]:
    """The checks of these clauses."""
    return [c for c in CHECKS if c.clause in clauses]


def judge(
    case: Case, observation: Observation, conventions: Conventions, oracle: Oracle, checks: Iterable[Check] = CHECKS
) -> dict[str, Judgement | None]:
    """For each clause that the case asks: the worst judgement over its steps, or None where the backend declined them all.

    Clauses that the case does not ask, or of which nothing can be said here, are left out.
    """
    return examine(Examination(case, observation, conventions, oracle), checks)


def examine(exam: Examination, checks: Iterable[Check]) -> dict[str, Judgement | None]:
    """The judgements of an examination; see ``judge``."""
    case, observation = exam.case, exam.observation
    verdicts: dict[str, Judgement | None] = {}
    shared = shares_state(case)
    with np.errstate(all="ignore"):
        for check in checks:
            if check.of_shared != shared:
                continue
            for i, step in enumerate(case.steps):
                if step.call not in check.calls or check.of_refused not in (None, step.refused):
                    continue
                channels = _domain(exam.seen(i), check, i)
                if not channels.any():
                    continue
                status = observation.steps[i].status
                if status == "declined":
                    verdicts.setdefault(check.clause, None)
                elif status == "ok" or (status == "error" and check.reads_errors):
                    found = check.judge(exam, i, channels)
                    known = verdicts.get(check.clause)
                    if found is not None and (known is None or found.ratio > known.ratio):
                        verdicts[check.clause] = found
    return verdicts


#: The domains of an oracle's case depend on nothing else: all backends share them.
_DOMAINS: weakref.WeakKeyDictionary[Oracle, dict[tuple[str, int], Mask]] = weakref.WeakKeyDictionary()


def _domain(oracle: Oracle, check: Check, i: int) -> Mask:
    """The channels of step i that the check speaks of, of the case as the step's layer sees it."""
    known = _DOMAINS.setdefault(oracle, {})
    if (check.clause, i) not in known:
        known[check.clause, i] = check.domain(oracle, oracle.case.steps[i])
    return known[check.clause, i]


class Court:
    """All tallies of one target; ``oracle_seconds``: processor time that hearing its cases took in the oracle."""

    def __init__(
        self, clauses: Collection[str], conventions: Conventions, excuse: Excuse = lambda clause, case: ""
    ) -> None:
        self.conventions, self.checks, self.excuse = conventions, checks_for(clauses), excuse
        self.tallies = {c: Tally() for c in clauses}
        self.oracle_seconds = 0.0
        self._lock = threading.Lock()

    def hear(self, case: Case, observation: Observation, oracle: Oracle, order: int = 0) -> dict[str, Judgement | None]:
        """Judge one case and count it; returns the judgements. ``order``: the case's number in the run. Thread-safe."""
        completed = self.tallies.get(COMPLETES)
        ended = ENDINGS.get(observation.status)
        if completed is not None:
            message = f"{observation.status}: {observation.message}"
            with self._lock:
                completed.ended = completed.ended or ended
                completed.add(case, Judgement(math.inf, {}, message) if ended else Judgement(0.0, {}), order=order)
        if ended:
            return {}
        exam = Examination(case, observation, self.conventions, oracle)
        verdicts = examine(exam, self.checks)
        excuses = {c: self.excuse(c, case) for c, j in verdicts.items() if j is not None and not j.holds}
        with self._lock:
            self.oracle_seconds += exam.oracle_seconds
            for clause, judgement in verdicts.items():
                if judgement is None:
                    self.tallies[clause].declined += 1
                else:
                    self.tallies[clause].add(case, judgement, excuses.get(clause, ""), order)
        return verdicts


def _typed(evidence: dict[str, Any] | None) -> Evidence | None:
    """What a check said of an element, as a record's evidence."""
    if not evidence or "step" not in evidence:
        return None
    said = {k: v for k, v in evidence.items() if k in Evidence.__struct_fields__ and v is not None}
    relation = "within_bound" if "bound" in said else "equals"
    return msgspec.convert(plain({"call": "", "relation": relation, **said}), Evidence)


def _known(words: str) -> KnownDeviation:
    """An entry's class and reason as a record."""
    kind, _, reason = words.partition(": ")
    return msgspec.convert(
        {"kind": kind, "reason": reason, "conditions": "", "package": "", "versions": ""}, KnownDeviation
    )


def finding_of(clause: str, tally: Tally, backend: str, device: str, **saved: Any) -> Finding:
    """The tally as a record. ``saved``: case and shrunk (paths), evidence and message of the shrunk case."""
    told = CLAUSES[clause]
    worst = tally.worst
    ratio: float | str | None = None
    if worst is not None:
        ratio = worst.ratio if math.isfinite(worst.ratio) else "inf"
    if tally.verdict in FAILING and worst is not None:
        if tally.excused == tally.failures:
            saved.setdefault("known", tuple(map(_known, tally.reasons)))
        saved.setdefault("message", worst.message)
        saved.setdefault("evidence", worst.evidence)
    saved["evidence"] = _typed(saved.get("evidence"))
    return Finding(
        clause,
        told.family,
        told.level,
        backend,
        device,
        tally.verdict,
        tally.cases,
        tally.failures,
        tally.declined,
        ratio,
        **saved,
    )
