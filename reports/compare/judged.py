"""Verdicts case by case: what the journal of a run says of each case on a target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from bnspec.reports.compare.operands import Place
from bnspec.reports.run.bits import CaseBits
from bnspec.reports.run.fields import Ratio
from bnspec.reports.run.journal import Broken, JudgedCase, read_journal
from bnspec.reports.run.records import ratio_value
from bnspec.reports.run.store import CASES, Run


@dataclass(frozen=True)
class Outcome:
    """A clause on a case: kept with a ratio, broken, or declined with a reason."""

    ratio: Ratio = None
    broken: Broken | None = None
    declined: str | None = None

    @property
    def judged(self) -> bool:
        """Whether there is a judgement."""
        return self.declined is None


@dataclass(frozen=True)
class JudgedTarget:
    """The judged cases of a target. ``entries``: by case."""

    entries: Mapping[str, JudgedCase] = field(default_factory=dict)

    @cached_property
    def outcomes(self) -> Mapping[str, Mapping[str, Outcome]]:
        """By clause and case."""
        found: dict[str, dict[str, Outcome]] = {}
        for case, entry in self.entries.items():
            for clause, outcome in _outcomes(entry):
                found.setdefault(clause, {})[case] = outcome
        return found

    @property
    def bits(self) -> Mapping[str, CaseBits]:
        """By case, where the journal has them."""
        return {case: e.bits for case, e in self.entries.items() if e.bits is not None}


def _outcomes(entry: JudgedCase) -> Iterator[tuple[str, Outcome]]:
    for clause, ratio in entry.kept.items():
        yield clause, Outcome(ratio)
    for broken in entry.broken:
        yield broken.clause, Outcome(broken.ratio, broken)
    for clause, reason in entry.declined.items():
        yield clause, Outcome(declined=reason)


def judged_targets(run: Run) -> dict[Place, JudgedTarget]:
    """Every target of the journal; none where the run has no journal."""
    found: dict[Place, dict[str, JudgedCase]] = {}
    for entry in read_journal(run.path):
        if isinstance(entry, JudgedCase):
            found.setdefault(Place(entry.backend, entry.device), {})[entry.case] = entry
    return {place: JudgedTarget(entries) for place, entries in found.items()}


def worst(outcomes: Mapping[str, Outcome]) -> tuple[str, Outcome]:
    """The case with the largest ratio, of at least one."""
    return max(outcomes.items(), key=lambda item: (ratio_value(item[1].ratio), item[0]))


def saved(run: Run, case: str) -> str | None:
    """The path of a case, where the run has saved it."""
    name = f"{CASES}/{case}.json"
    return name if (run.path / name).is_file() else None
