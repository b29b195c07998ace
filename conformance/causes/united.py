"""The causes of several runs of a target as those of one, without experiments."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from bnspec.conformance.causes.record import cause_of, ordinary_first
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import FAILING


def united(findings: Sequence[Finding], causes: Mapping[str, Sequence[Cause]]) -> list[Cause]:
    """The causes behind the merged findings of one target; every finding that fails belongs to one, or to several.

    A clause goes with the clause that names its cause in the run that its finding shows, and that one with the one that names
    its own. A further cause that it names there, beneath that of its smallest case, stays as it is.

    Args:
        causes: by failing clause, the causes that the run knows from which its finding is taken.
    Returns: the most ordinary first, as a run has them.
    """
    failing = {f.clause: f for f in findings if f.verdict in FAILING}
    of = {clause: next((c for c in causes[clause] if clause in c.clauses), None) for clause in failing}
    groups: dict[str, list[str]] = {}
    for clause in failing:
        groups.setdefault(_first(clause, of), []).append(clause)
    made = [_cause(first, group, failing, of[first]) for first, group in groups.items()]
    beneath = [_of(c, failing) for clause in failing for c in causes[clause] if c.clause == clause and c != of[clause]]
    return sorted([*made, *beneath], key=ordinary_first)


def _of(cause: Cause, failing: Collection[str]) -> Cause:
    """The cause with those of its clauses that fail."""
    return msgspec.structs.replace(cause, also=tuple(c for c in cause.also if c in failing))


def _first(clause: str, of: Mapping[str, Cause | None]) -> str:
    """The clause that names the cause of a clause; of several that name each other, the first by name."""
    way: list[str] = []
    while clause not in way:
        way.append(clause)
        cause = of[clause]
        if cause is None or cause.clause not in of:
            return clause
        clause = cause.clause
    return min(way[way.index(clause) :])


def _cause(first: str, group: Sequence[str], findings: Mapping[str, Finding], known: Cause | None) -> Cause:
    """The cause of a group of clauses, with what the run knows of it that shows the first of them."""
    clauses = [first, *(c for c in (known.clauses if known else ()) if c in group and c != first)]
    clauses += [c for c in group if c not in clauses]
    ordered = [findings[c] for c in clauses]
    return cause_of(ordered, *((known.conditions, known.experiments, known.cut) if known else ((), 0, "")))
