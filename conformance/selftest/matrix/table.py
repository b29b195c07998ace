"""The kill matrix as rows: which clauses kill which mutant, which clauses kill none, and the cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bnspec.clauses import ASKED
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.selftest.catalogue.catalogue import CatalogueEntry
from bnspec.conformance.selftest.matrix.matrix import Accusation, Matrix
from bnspec.terminal.console import line, show, table, terminal


@dataclass(frozen=True)
class Row:
    """One mutant or variant and what the suite said.

    Attributes:
        killed_by: clauses of level MUST or SHOULD that deviate, in the specification's order.
        noted_by: clauses of level MAY that deviate: they record, and kill nothing.
        cases: how many cases had been run on the first seed that killed it when the first of them did; 0 if none.
        seeds: on how many seeds it fared as it should.
        of: how many seeds there were.
        first: the first accusation that kills, and its case; worst: of an accused variant, the one with the largest ratio.
        stopped: after how many cases its trial was stopped, its own clause having killed it; 0 if it was not.
    """

    entry: CatalogueEntry
    killed_by: tuple[str, ...]
    noted_by: tuple[str, ...]
    cases: int
    seeds: int
    of: int
    first: tuple[str, Accusation] | None = None
    worst: tuple[str, Accusation] | None = None
    stopped: int = 0

    @property
    def killed_by_family(self) -> bool:
        """Whether a clause that the mutant is named for is among those that deviate; one of level MAY cannot do more than note."""
        return bool({*self.killed_by, *self.noted_by} & set(self.entry.killed_by))

    @property
    def killed(self) -> bool:
        """Whether a clause of level MUST or SHOULD deviates, or one of level MAY that a mutant is named for notes it."""
        return bool(self.killed_by) or (self.entry.kind == "mutant" and self.killed_by_family)

    @property
    def as_it_should_be(self) -> bool:
        """On every seed, a mutant is killed by a clause that it is named for; a variant by none.

        A mutant that is known to escape may do so: a seed's drawn cases may find it all the same.
        """
        return bool(self.entry.escapes) or self.seeds == self.of

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        p = self.entry
        return {
            "name": p.name,
            "kind": p.kind,
            "killed": self.killed,
            "killed_by": list(self.killed_by),
            "family": p.family,
            "killed_by_family": self.killed_by_family,
            "expected": list(p.killed_by),
            "noted_by": list(self.noted_by),
            "path": p.path,
            "escapes": p.escapes or None,
            "statement": p.statement,
            "as_it_should_be": self.as_it_should_be,
            "cases_to_first_kill": self.cases,
            "seeds_as_it_should_be": self.seeds,
            "seeds": self.of,
            "stopped_after": self.stopped or None,
        }


def row_of(matrix: Matrix, entry: CatalogueEntry) -> Row:
    """What the matrix says of one mutant or variant."""
    seen: dict[str, None] = {}
    number, good, first, worst = 0, 0, None, None
    for seed in matrix.seeds:
        found = matrix.of(entry.name, seed)
        kills = [(n, c, a) for n, c, a in found if ASKED[a.clause].level != "MAY"]
        seen |= {a.clause: None for _, _, a in found}
        killers = {a.clause for _, _, a in kills}
        named = {a.clause for _, _, a in found} & set(entry.killed_by)
        good += bool(named) if entry.kind == "mutant" else not killers
        if kills:
            if first is None:
                number, first = kills[0][0], kills[0][1:]
            _, case, accusation = max(kills, key=lambda k: k[2].ratio)
            if worst is None or accusation.ratio > worst[1].ratio:
                worst = case, accusation
    killed, noted = (tuple(c for c in ASKED if c in seen and (ASKED[c].level == "MAY") is may) for may in (False, True))
    accused = worst if entry.kind == "variant" else None
    stopped = matrix.stopped.get(entry.name, 0)
    return Row(entry, killed, noted, number, good, len(matrix.seeds), first, accused, stopped)


def kills_by_clause(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each clause the number of mutants that it kills (of level MAY: notes), and those that no other clause kills."""
    mutants = [r for r in rows if r.entry.kind == "mutant"]
    table = []
    for clause, asked in ASKED.items():
        kills = [r for r in mutants if clause in (*r.killed_by, *r.noted_by)]
        alone = [r.entry.name for r in kills if r.killed_by == (clause,)]
        table.append({"clause": clause, "level": asked.level, "kills": len(kills), "unique_kills": alone})
    return table


def document(matrix: Matrix, rows: Sequence[Row], effort: EffortName) -> dict[str, Any]:
    """The whole as JSON-ready data."""
    clauses = kills_by_clause(rows)
    return {
        "mutants": [r.to_json() for r in rows],
        "clauses": clauses,
        "mistrusted": [c["clause"] for c in clauses if not c["kills"]],
        "budget": budget(matrix, effort),
    }


def budget(matrix: Matrix, effort: EffortName) -> dict[str, Any]:
    """What the matrix cost: cases, seconds, and the shares of the processes' time."""
    spent = matrix.seconds
    total = spent.layers + spent.oracle + spent.judge or 1.0
    return {
        "effort": effort,
        "seeds": list(matrix.seeds),
        "cases": len(matrix.origins),
        "entries": len(matrix.entries),
        "seconds": round(matrix.wall, 2),
        "process_seconds": round(total, 2),
        "share_layers": round(spent.layers / total, 3),
        "share_oracle": round(spent.oracle / total, 3),
        "share_judge": round(spent.judge / total, 3),
    }


def print_matrix(matrix: Matrix, rows: Sequence[Row], effort: EffortName, whole: bool) -> None:
    """Print a row for each mutant and variant, then the clauses, then what is not as it should be."""
    console = terminal()
    listed = table(console, "kind", "name", "cases", "clause", "killed by", right=("cases",))
    for row in rows:
        listed.add_row(row.entry.kind, row.entry.name, *_outcome(row))
    show(console, listed)
    clauses, mutants = kills_by_clause(rows), [r for r in rows if r.entry.kind == "mutant"]
    variants = [r for r in rows if r.entry.kind == "variant"]
    line(console)
    if mutants:
        _print_kills(console, clauses)
        own = sum(r.killed_by_family for r in mutants)
        killed = sum(r.killed for r in mutants)
        line(console)
        line(console, f"{killed} of {len(mutants)} mutants killed, {own} by a clause that they expect")
    if whole:
        mistrusted = [c["clause"] for c in clauses if not c["kills"]]
        line(console, "mistrusted clauses, which kill no mutant: " + (", ".join(mistrusted) or "none"))
    if variants:
        clear = sum(not r.killed_by for r in variants)
        line(console, f"{clear} of {len(variants)} variants conform on {_seeds(len(matrix.seeds))}")
    used = budget(matrix, effort)
    shares = ", ".join(f"{name} {used['share_' + name]:.0%}" for name in ("layers", "oracle", "judge"))
    line(console, f"{used['cases']} cases of effort {effort}, {used['seconds']:.1f} s; processor time: {shares}")
    for row in (r for r in mutants if r.entry.escapes):
        again = "; it is killed now" if row.killed_by_family else ""
        line(console, f"known to survive: {row.entry.name}: {row.entry.escapes}{again}")
    for row in rows:
        if not row.as_it_should_be:
            for text in _wrong(matrix, row):
                line(console, text)


def _print_kills(console: Console, clauses: Sequence[dict[str, Any]]) -> None:
    """How many mutants each clause kills, and how many it alone kills."""
    kills = table(console, "kills", "alone", "clause", "", right=("kills", "alone"))
    for c in clauses:
        note = "MAY: noted, kills nothing" if c["level"] == "MAY" else ""
        kills.add_row(str(c["kills"]), str(len(c["unique_kills"]) or ""), c["clause"], note)
    show(console, kills)


def _outcome(row: Row) -> tuple[str, str, str]:
    """Cases to the first kill, whether an expected clause killed, and by what."""
    said = ", ".join(row.killed_by[:3]) + (f" and {len(row.killed_by) - 3} more" if len(row.killed_by) > 3 else "")
    if row.entry.kind == "variant":
        return ("", "REPORTED", said) if row.killed_by else ("", "", f"none on {_seeds(row.of)}")
    if row.killed and not row.killed_by:
        return str(row.cases), "expected", f"noted by {', '.join(row.noted_by[:3])} (MAY)"
    if not row.killed_by:
        return "", "", "survives, as known" if row.entry.escapes else "SURVIVES"
    stopped = f" (stopped after {row.stopped})" if row.stopped else ""
    return str(row.cases), "expected" if row.killed_by_family else "NOT expected", said + stopped


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _wrong(matrix: Matrix, row: Row) -> Iterator[str]:
    """Why a row is not as it should be."""
    p, on = row.entry, f" on {row.of - row.seeds} of {row.of} seeds" if row.of > 1 else ""
    if p.kind == "mutant":
        killers = ", ".join(row.killed_by) or "none"
        yield f"WRONG: mutant {p.name} survives {' and '.join(p.killed_by)}{on}; killed by {killers}"
    elif row.worst is not None:
        case, worst = row.worst
        origin = matrix.origins[case]
        yield f"WRONG: variant {p.name} is reported{on} by {', '.join(row.killed_by)}"
        made = origin.get("purpose", "drawn")
        yield f"       worst: {worst.clause} on case {case} ({made}), ratio {worst.ratio:.3g}: {worst.message}"
        yield f"       {origin.get('plan', '')}"
