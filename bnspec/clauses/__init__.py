"""The clauses of the specification, as data. ``CLAUSES`` maps each id to its clause, family by family.

An id is ``family.name`` and never changes its meaning; what is no longer asked keeps its id, retired.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from bnspec.clauses import (
    affine,
    contract,
    epsilon,
    gradient,
    inference,
    input_normalization,
    robustness,
    running,
    training,
)
from bnspec.clauses.clause import Clause
from bnspec.errors import UsageError

_ALL = (
    *training.CLAUSES,
    *epsilon.CLAUSES,
    *affine.CLAUSES,
    *running.CLAUSES,
    *inference.CLAUSES,
    *gradient.CLAUSES,
    *robustness.CLAUSES,
    *input_normalization.CLAUSES,
    *contract.CLAUSES,
)
CLAUSES: dict[str, Clause] = {c.id: c for c in _ALL}


def select(patterns: Sequence[str]) -> list[Clause]:
    """The clauses whose ids match any of the shell globs; a family's name stands for all of it; nothing means all.

    Raises UsageError: a pattern that matches no clause.
    """
    if not patterns:
        return list(CLAUSES.values())
    chosen: list[Clause] = []
    for pattern in patterns:
        found = [c for c in CLAUSES.values() if fnmatch.fnmatchcase(c.id, pattern) or c.family == pattern]
        if not found:
            near = difflib.get_close_matches(pattern, [*CLAUSES, *{c.family for c in CLAUSES.values()}], 1, 0.5)
            raise UsageError(
                f"no clause matches {pattern!r}.",
                "families are " + ", ".join(dict.fromkeys(c.family for c in CLAUSES.values())) + ".",
                (f"did you mean {near[0]}? " if near else "") + "bnspec explain lists all clauses.",
            )
        chosen += [c for c in found if c not in chosen]
    return chosen


__all__ = ["CLAUSES", "Clause", "select"]
