"""Clauses on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bnspec.clauses import FAMILIES, VERSION, Clause
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS
from bnspec.terminal.console import line, show, table, terminal, verbatim

WIDTH = 100
#: Columns where there is no terminal: each clause is one line, to be searched.
UNBROKEN = 10_000
LABEL = 15
VERIFIED = {
    "backends": "every backend: bnspec verify --clause {id}",
    "specification": "the specification itself, by a test of its equations; not on backends",
    "both": "every backend: bnspec verify --clause {id}; and the specification itself, by a test",
}


def print_clauses(clauses: Sequence[Clause], in_full: bool) -> None:
    """Print each clause in full, or a table for each family with a row for each clause."""
    console = terminal()
    if in_full:
        for clause in clauses:
            verbatim(console, explained(clause))
        return
    if not console.is_terminal:
        console.width = UNBROKEN
    ids = max((len(c.id) for c in clauses), default=0)
    for family in FAMILIES:
        mine = [c for c in clauses if c.family == family.name]
        if mine:
            verbatim(console, f"{family.title} ({len(mine)})")
            show(console, listed(console, mine, ids))
            line(console)
    asked = sum(c.asked for c in clauses)
    verbatim(
        console,
        f"{len(clauses)} clauses. Backends are asked about {asked}; those with * are verified on the specification itself.\n"
        "bnspec explain CLAUSE or FAMILY shows them in full.",
    )


def listed(console: Console, clauses: Sequence[Clause], width: int) -> Table:
    """The clauses of a family: level, mark, id in a column of this width, statement."""
    rows = table(console, "", "", "", "")
    rows.columns[0].min_width, rows.columns[2].min_width = len("  SHOULD"), width
    for clause in clauses:
        rows.add_row(
            f"  {clause.level}", "*" if clause.verified == "specification" else " ", clause.id, clause.statement
        )
    return rows


def explained(clause: Clause) -> str:
    """The clause in full."""
    killed = [m.name for m in MUTANTS if clause.id in m.killed_by]
    rows = [
        ("why", clause.rationale),
        ("source", clause.source),
        ("relative to", ", ".join(clause.depends) or "nothing: the same for every backend"),
        ("verified on", VERIFIED[clause.verified].format(id=clause.id)),
        ("since", f"version {clause.since} of the specification, which is at {VERSION}"),
        ("would catch", ", ".join(clause.catches) or "no public report on file"),
    ]
    if clause.asked:
        rows.append(("mutants", ", ".join(killed) or "none expects it"))
    formula = [" " * LABEL + part for part in clause.formula_lines]
    lines = [
        f"{clause.id}   {clause.level}",
        "",
        *_wrapped(clause.statement, 2),
        "",
        *_labelled("formula", formula),
        "",
    ]
    for label, value in rows:
        lines += _labelled(label, _wrapped(value, LABEL))
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: int) -> list[str]:
    blank = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False)


def _labelled(label: str, lines: list[str]) -> list[str]:
    """The lines, with the label in the first one's indentation."""
    return [f"  {label}".ljust(LABEL) + lines[0][LABEL:], *lines[1:]]
