"""Causes in words: how many a target has, what one needs, and what was found of all targets, as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bnspec.clauses import CLAUSES
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.records import target_name
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import Level

#: Features that their value names.
SAID_BY_VALUE = frozenset({"one channel", "one row", "many channels", "count", "affine", "threads"})


class Counted(NamedTuple):
    """How many causes a target has and how many clauses show them; ``known``: how many causes are known deviations."""

    target: str
    causes: int
    known: int
    clauses: int
    levels: dict[Level, int]


def counted(target: str, causes: Sequence[Cause]) -> Counted:
    """Count the causes of one target."""
    levels: dict[Level, int] = {}
    for cause in causes:
        levels[cause.level] = levels.get(cause.level, 0) + 1
    known = sum(bool(c.known) for c in causes)
    return Counted(target, len(causes), known, len({n for c in causes for n in c.clauses}), levels)


def count_sentence(causes: Sequence[Cause]) -> str:
    """For example "4 causes (3 known) behind 13 clauses"; "" where there is none."""
    if not causes:
        return ""
    found = counted("", causes)
    known = f" ({found.known} known)" if found.known else ""
    return f"{_number(found.causes, 'cause')}{known} behind {_number(found.clauses, 'clause')}"


def _number(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def needs(cause: Cause) -> str:
    """What the deviation needs, in words; and through which clause it is graver than the clause that names it."""
    return "; ".join(filter(None, (_conditions(cause), _graver(cause))))


def _conditions(cause: Cause) -> str:
    if not cause.conditions:
        examined = not cause.cut and cause.experiments
        return "on the most ordinary cases that the clause speaks of" if examined else "conditions not examined"
    needed = "needs " + "; ".join(map(_condition, cause.conditions))
    return f"{needed}; whether it needs more was not examined" if cause.cut else needed


def _condition(condition: Condition) -> str:
    """For example "dtype: float16 (not with float32)", or "2 values per channel (not with at least 16 values per channel)"."""
    named = condition.feature in SAID_BY_VALUE or condition.value.startswith(condition.feature)
    value = condition.value if named else f"{condition.feature}: {condition.value}"
    return f"{value} (not with {condition.ordinary})"


def _graver(cause: Cause) -> str:
    """For example "shows in training.output, a MUST"."""
    if cause.clause not in CLAUSES or CLAUSES[cause.clause].level == cause.level:
        return ""
    found = (c for c in cause.also if c in CLAUSES and CLAUSES[c].level == cause.level)
    return next((f"shows in {c}, a {cause.level}" for c in found), "")


def by_target(run: Run) -> dict[str, list[Cause]]:
    """The causes of each target that was opened, those without any included."""
    found: dict[str, list[Cause]] = {target_name(t): [] for t in run.targets if t.status == "ready"}
    for cause in run.causes:
        found.setdefault(target_name(cause), []).append(cause)
    return found
