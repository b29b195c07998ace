"""The clauses of the specification, as data. ``CLAUSES`` maps each id to its clause, family by family.

An id is ``family.name`` and never changes its meaning; a retired clause keeps its id. ``ASKED`` holds the clauses that
backends are judged by; the others are verified on the specification's own equations.
"""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from bnspec.clauses import (
    accuracy,
    affine,
    contract,
    degenerate,
    dtype,
    epsilon,
    errors,
    gradient,
    inference,
    input_normalization,
    layer_norm,
    layout,
    mask,
    placement,
    purity,
    running,
    second_order,
    sharded,
    special,
    state,
    training,
)
from bnspec.clauses.clause import VERSION, Clause
from bnspec.clauses.families import FAMILIES, Family
from bnspec.errors import UsageError

_ALL = (
    *training.CLAUSES,
    *epsilon.CLAUSES,
    *affine.CLAUSES,
    *running.CLAUSES,
    *inference.CLAUSES,
    *gradient.CLAUSES,
    *second_order.CLAUSES,
    *accuracy.CLAUSES,
    *degenerate.CLAUSES,
    *special.CLAUSES,
    *dtype.CLAUSES,
    *layout.CLAUSES,
    *purity.CLAUSES,
    *state.CLAUSES,
    *mask.CLAUSES,
    *sharded.CLAUSES,
    *contract.CLAUSES,
    *errors.CLAUSES,
    *input_normalization.CLAUSES,
    *placement.CLAUSES,
    *layer_norm.CLAUSES,
)
CLAUSES: dict[str, Clause] = {c.id: c for c in _ALL}
ASKED: dict[str, Clause] = {c.id: c for c in _ALL if c.asked}


def select(patterns: Sequence[str]) -> list[Clause]:
    """The clauses whose ids match any of the shell globs; a family name selects the whole family; no pattern selects all.

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


def select_asked(patterns: Sequence[str]) -> list[Clause]:
    """As ``select``, restricted to clauses that backends are judged by.

    Raises UsageError: a pattern that matches no clause, or only clauses that no check covers.
    """
    for pattern in patterns:
        found = select([pattern])
        if not any(c.id in ASKED for c in found):
            raise UsageError(
                f"no check judges backends by {pattern!r}.",
                f"{', '.join(c.id for c in found[:3])}{', ...' * (len(found) > 3)}: verified on the specification's own equations, by tests.",
                f"bnspec explain {pattern!r} shows the requirement; leave the pattern out of the run.",
            )
    return [c for c in select(patterns) if c.id in ASKED]


__all__ = ["ASKED", "CLAUSES", "FAMILIES", "VERSION", "Clause", "Family", "select", "select_asked"]
