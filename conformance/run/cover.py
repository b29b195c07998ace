"""A few of the cases that still ask every clause, for where compiling is dear or a device's time is short."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence

from bnspec.conformance.checks import Check
from bnspec.conformance.judge.judge import speaks_of
from bnspec.model.case import Case
from bnspec.oracle.oracle import Oracle

#: How many cases a clause is left with, of those that ask it.
TIMES = 5


def cover(cases: Sequence[Case], checks: Collection[Check], times: int = TIMES) -> list[Case]:
    """A subset in which each clause still has its cases, but no more than it takes, with few distinct programs to compile.

    Greedy: the next case is the one that serves most clauses for each program that no case before it needs.

    Args:
        cases: to choose from; those chosen keep their order.
        checks: of the clauses that must be asked.
        times: cases of each clause; all that there are, where there are fewer.
    """
    clauses = {c.id: speaks_of(c, Oracle(c), checks) for c in cases}
    there_are = Counter(clause for asked in clauses.values() for clause in asked)
    wanted = {clause: min(times, count) for clause, count in there_are.items()}
    programs = {c.id: programs_of(c) for c in cases}
    compiled: set[Hashable] = set()
    chosen: set[str] = set()

    def worth(case: Case) -> float:
        served = sum(wanted[clause] > 0 for clause in clauses[case.id])
        return served / (1 + len(programs[case.id] - compiled))

    left = list(cases)
    while any(wanted.values()):
        best = max(left, key=worth)
        left.remove(best)
        chosen.add(best.id)
        compiled |= programs[best.id]
        for clause in clauses[best.id]:
            wanted[clause] = max(0, wanted[clause] - 1)
    return [c for c in cases if c.id in chosen]


def programs_of(case: Case) -> set[Hashable]:
    """What a compiling framework compiles for a case, as far as calls tell: each call on each set of shapes and dtypes."""
    return {
        (
            case.subject,
            step.call,
            case.config.channel_axis,
            tuple((a.shape, a.dtype.name) for n in step.inputs if (a := case.arrays.get(n)) is not None),
        )
        for step in case.steps
    }
