"""Clauses on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bnspec.clauses import FAMILIES, VERSION, Clause
from bnspec.conformance.selftest.catalogue.catalogue import MUTANTS
from bnspec.reports.tables.run import terminal

WIDTH = 100
LABEL = 15
VERIFIED = {
    "backends": "every backend is asked: bnspec verify --clause {id}",
    "specification": "the specification itself, by a test of its equations; no backend is asked",
    "both": "every backend is asked: bnspec verify --clause {id}; and the specification itself, by a test",
}


def print_clauses(clauses: Sequence[Clause], in_full: bool) -> None:
    """Each clause in full, or family by family one line each."""
    console = terminal()
    for block in (
        map(explained, clauses) if in_full else listed(clauses, console.width if console.is_terminal else None)
    ):
        console.print(block, highlight=False, markup=False, soft_wrap=True)


def listed(clauses: Sequence[Clause], width: int | None) -> list[str]:
    """A block for each family: its title, then level, id and statement of each clause; and a last one on how to read them.

    Statements are wrapped to ``width``; without one, each clause is one line, to be searched.
    """
    blocks = []
    for family in FAMILIES:
        mine = [c for c in clauses if c.family == family.name]
        if mine:
            rows = [line for c in mine for line in _row(c, width)]
            blocks.append("\n".join([f"{family.title} ({len(mine)})", *rows, ""]))
    asked = sum(c.asked for c in clauses)
    end = f"{len(clauses)} clauses. Backends are asked about {asked}; those with * are verified on the specification itself."
    return [*blocks, end + "\nbnspec explain CLAUSE or FAMILY shows them in full."]


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
        rows.append(("mutants", ", ".join(killed) or "none is named for it"))
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


def _row(clause: Clause, width: int | None) -> list[str]:
    mark = "*" if clause.verified == "specification" else " "
    head = f"  {clause.level:<6} {mark} {clause.id:<41} "
    room = max(width - len(head), 40) if width else len(clause.statement)
    first, *rest = textwrap.wrap(clause.statement, room, break_on_hyphens=False)
    return [head + first, *(" " * len(head) + line for line in rest)]


def _wrapped(text: str, indent: int) -> list[str]:
    blank = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=blank, subsequent_indent=blank, break_on_hyphens=False)


def _labelled(label: str, lines: list[str]) -> list[str]:
    """The lines, with the label in the first one's indentation."""
    return [f"  {label}".ljust(LABEL) + lines[0][LABEL:], *lines[1:]]
