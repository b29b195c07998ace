"""A group of findings as the record of their cause, and the order of records."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.conformance.causes.order import particular
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.records import Finding
from bnspec.reports.run.vocabulary import LEVELS


def cause_of(group: Sequence[Finding], conditions: tuple[Condition, ...], experiments: int, cut: str) -> Cause:
    """The cause of a group; its first finding names it, and gives the case and the message. For the rest, see ``Cause``."""
    first = group[0]
    return Cause(
        first.clause,
        first.family,
        min((f.level for f in group), key=LEVELS.index),
        first.backend,
        first.device,
        also=tuple(dict.fromkeys(f.clause for f in group[1:] if f.clause != first.clause)),
        conditions=conditions,
        known=tuple(dict.fromkeys(k for f in group for k in f.known)),
        message=first.message,
        case=first.shrunk or first.case,
        experiments=experiments,
        cut=cut,
    )


def ordinary_first(cause: Cause) -> tuple[int, bool, int, str]:
    """A key that sorts by level; then what happens on the most ordinary cases first, and last what nobody examined.

    A call that must be refused is as little ordinary as a condition.
    """
    unknown = bool(cause.cut) and not cause.conditions
    return LEVELS.index(cause.level), unknown, particular(cause.conditions) + (cause.family == "errors"), cause.clause
