"""Clauses on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bnspec.clauses import Clause
from bnspec.conformance.mutants.catalogue import MUTANTS
from bnspec.reports.table import terminal


def print_clauses(clauses: Sequence[Clause], in_full: bool) -> None:
    """Each clause in full, or one line each."""
    console = terminal()
    for clause in clauses:
        text = _full(clause) if in_full else f"{clause.level:<6} {clause.id:<42} {clause.statement}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def _full(clause: Clause) -> str:
    killed = [m.name for m in MUTANTS if clause.id in m.killed_by]
    rows = (
        ("formula", clause.formula),
        ("why", clause.rationale),
        ("source", clause.source),
        ("relative to", ", ".join(clause.depends) or "nothing: the same for every backend"),
        ("catches", ", ".join(clause.catches) or "no public report on file"),
        ("mutants", ", ".join(killed) or "none of those it is named for"),
    )
    lines = [
        f"{clause.id}  ({clause.level})",
        *textwrap.wrap(clause.statement, 96, initial_indent="  ", subsequent_indent="  "),
    ]
    for label, value in rows:
        wrapped = textwrap.wrap(value, 84) or [""]
        lines.append(f"  {label:<12}{wrapped[0]}")
        lines += [" " * 14 + line for line in wrapped[1:]]
    return "\n".join(lines) + "\n"
