"""The count of a clause on a target: how many cases were judged, how many deviate, and the worst of them."""

from __future__ import annotations

import dataclasses
import math
from typing import Generic, Protocol, TypeVar

from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.case import Case
from bnspec.reports.run.evidence import KnownDeviation
from bnspec.reports.run.vocabulary import FindingVerdict


class Candidate(Protocol):
    """What a tally chooses from: a judgement, the case's number in the run, and the elements of all its arrays."""

    @property
    def judgement(self) -> Judgement:
        """Of the case."""

    @property
    def order(self) -> int:
        """The case's number."""

    @property
    def size(self) -> int:
        """Elements of all its arrays."""


J = TypeVar("J", bound=Candidate)


@dataclasses.dataclass(frozen=True)
class Judged:
    """A case with its judgement; ``order``: the case's number in the run, which decides between equals."""

    case: Case
    judgement: Judgement
    order: int = 0

    @property
    def size(self) -> int:
        """Elements of all its arrays."""
        return self.case.elements


@dataclasses.dataclass
class Tally(Generic[J]):
    """The judgements of one clause on one target.

    Attributes:
        cases, failures, declined: how many cases were judged, deviated, or were declined where the clause asks.
        reasons: why they were declined, each with its number of cases.
        worst: the case with the largest ratio, of equals the first in the run, in whatever order they are added.
        failing: the cases that deviate, and that no known deviation covers, as they were added.
        covered: failures on cases that a known deviation covers; known: these deviations, each with the number of its first case;
            smallest_known: the smallest of these cases.
        ended: how the first case without an answer ended, of the clause contract.completes; ended_at: its number.
    """

    cases: int = 0
    failures: int = 0
    declined: int = 0
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)
    worst: J | None = None
    failing: list[J] = dataclasses.field(default_factory=list)
    covered: int = 0
    known: dict[KnownDeviation, int] = dataclasses.field(default_factory=dict)
    smallest_known: J | None = None
    ended: FindingVerdict | None = None
    ended_at: float = math.inf

    def add(self, judged: J, known: KnownDeviation | None = None) -> None:
        """Count one judged case; ``known``: the known deviation that covers it, if one does."""
        self.cases += 1
        judgement, order = judged.judgement, judged.order
        if self.worst is None or (judgement.ratio, -order) > (self.worst.judgement.ratio, -self.worst.order):
            self.worst = judged
        if judgement.holds:
            return
        self.failures += 1
        if known is None:
            self.failing.append(judged)
            return
        self.covered += 1
        self.known[known] = min(order, self.known.get(known, order))
        if self.smallest_known is None or _smaller(judged) < _smaller(self.smallest_known):
            self.smallest_known = judged

    @property
    def smallest(self) -> J | None:
        """The smallest case that deviates, of those that no known deviation covers where there are any; of equals the first in the run."""
        return min(self.failing, key=_smaller, default=self.smallest_known)

    def end(self, how: FindingVerdict, order: int) -> None:
        """Say how a case ended without an answer."""
        if order < self.ended_at:
            self.ended, self.ended_at = how, order

    def decline(self, reason: str) -> None:
        """Count one declined case."""
        self.declined += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def verdict(self) -> FindingVerdict:
        """What is said of the clause."""
        if self.ended:
            return self.ended
        if self.failures:
            return "deviates"
        if self.cases:
            return "conforms"
        return "declined" if self.declined else "not_exercised"


def _smaller(judged: Candidate) -> tuple[int, int]:
    """A key that sorts by size; of equals the first in the run comes first."""
    return judged.size, judged.order
