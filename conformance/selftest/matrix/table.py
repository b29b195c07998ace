"""The kill matrix as rows: who killed what, which clauses killed nothing, and what it cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bnspec.clauses import ASKED
from bnspec.cli import CONFORMS, DEVIATES
from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.selftest.catalogue.catalogue import CatalogueEntry, select
from bnspec.conformance.selftest.matrix.matrix import Accusation, Matrix, kill_matrix


@dataclass(frozen=True)
class Row:
    """One mutant or variant and what the suite said.

    Attributes:
        killed_by: clauses of level MUST or SHOULD that deviate, in the specification's order.
        noted_by: clauses of level MAY that deviate: they record, and kill nothing.
        cases: how many cases had been run on the first seed that killed it when the first of them did; 0 if none.
        seeds: on how many seeds it fared as it should.
        of: how many seeds there were.
        worst: of an accused variant, the accusation with the largest ratio, and its case.
        stopped: after how many cases its trial was stopped, its own clause having killed it; 0 if it was not.
    """

    planted: CatalogueEntry
    killed_by: tuple[str, ...]
    noted_by: tuple[str, ...]
    cases: int
    seeds: int
    of: int
    worst: tuple[str, Accusation] | None = None
    stopped: int = 0

    @property
    def killed_by_family(self) -> bool:
        """Whether a clause that the mutant is named for is among those that deviate; one of level MAY cannot do more than note."""
        return bool({*self.killed_by, *self.noted_by} & set(self.planted.killed_by))

    @property
    def killed(self) -> bool:
        """Whether a clause of level MUST or SHOULD deviates, or one of level MAY that a mutant is named for notes it."""
        return bool(self.killed_by) or (self.planted.kind == "mutant" and self.killed_by_family)

    @property
    def as_it_should_be(self) -> bool:
        """On every seed, a mutant is killed by a clause that it is named for; a variant by none.

        A mutant that is known to escape may do so: a seed's drawn cases may find it all the same.
        """
        return bool(self.planted.escapes) or self.seeds == self.of

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        p = self.planted
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


def row_of(matrix: Matrix, planted: CatalogueEntry) -> Row:
    """What the matrix says of one mutant or variant."""
    seen: dict[str, None] = {}
    first, good, worst = 0, 0, None
    for seed in matrix.seeds:
        found = matrix.of(planted.name, seed)
        kills = [(n, c, a) for n, c, a in found if ASKED[a.clause].level != "MAY"]
        seen |= {a.clause: None for _, _, a in found}
        killers = {a.clause for _, _, a in kills}
        named = {a.clause for _, _, a in found} & set(planted.killed_by)
        good += bool(named) if planted.kind == "mutant" else not killers
        if kills:
            first = first or kills[0][0]
            _, case, accusation = max(kills, key=lambda k: k[2].ratio)
            if worst is None or accusation.ratio > worst[1].ratio:
                worst = case, accusation
    killed, noted = (tuple(c for c in ASKED if c in seen and (ASKED[c].level == "MAY") is may) for may in (False, True))
    accused = worst if planted.kind == "variant" else None
    return Row(planted, killed, noted, first, good, len(matrix.seeds), accused, matrix.stopped.get(planted.name, 0))


def kills_by_clause(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each clause the number of mutants that it kills (of level MAY: notes), and those that no other clause kills."""
    mutants = [r for r in rows if r.planted.kind == "mutant"]
    table = []
    for clause, told in ASKED.items():
        kills = [r for r in mutants if clause in (*r.killed_by, *r.noted_by)]
        alone = [r.planted.name for r in kills if r.killed_by == (clause,)]
        table.append({"clause": clause, "level": told.level, "kills": len(kills), "unique_kills": alone})
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
        "planted": len(matrix.planted),
        "seconds": round(matrix.wall, 2),
        "process_seconds": round(total, 2),
        "share_layers": round(spent.layers / total, 3),
        "share_oracle": round(spent.oracle / total, 3),
        "share_judge": round(spent.judge / total, 3),
    }


def print_matrix(
    names: Sequence[str],
    kind: str,
    effort: EffortName,
    seeds: Sequence[int],
    jobs: int,
    until_killed: bool,
    as_json: bool,
) -> int:
    """Run and print; exit status 1 when a mutant survives, is killed for other reasons only, or a variant is accused."""
    chosen = select(names, kind)
    matrix = kill_matrix(chosen, effort, seeds, jobs, until_killed, (lambda done, of: None) if as_json else _progress)
    rows = [row_of(matrix, p) for p in chosen]
    if as_json:
        print(json.dumps(document(matrix, rows, effort), indent=1, allow_nan=False))
    else:
        _print(matrix, rows, effort, whole=not names and kind != "variant" and not until_killed)
    return CONFORMS if all(r.as_it_should_be for r in rows) else DEVIATES


def _progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{done} of {of} cases" if done < of else "\r\x1b[K")
        sys.stderr.flush()


def _print(matrix: Matrix, rows: Sequence[Row], effort: EffortName, whole: bool) -> None:
    for row in rows:
        _print_row(row)
    clauses, mutants = kills_by_clause(rows), [r for r in rows if r.planted.kind == "mutant"]
    variants = [r for r in rows if r.planted.kind == "variant"]
    if mutants:
        print("\nkills  alone  clause")
        for c in clauses:
            note = "  (MAY: noted, kills nothing)" if c["level"] == "MAY" else ""
            print(f"{c['kills']:>5}  {len(c['unique_kills']) or '':>5}  {c['clause']}{note}")
        own = sum(r.killed_by_family for r in mutants)
        print(
            f"\n{sum(bool(r.killed_by) for r in mutants)} of {len(mutants)} mutants killed, {own} by a clause of their own"
        )
    if whole:
        mistrusted = [c["clause"] for c in clauses if not c["kills"]]
        print("clauses that killed no mutant (mistrusted): " + (", ".join(mistrusted) or "none"))
    if variants:
        clear = sum(not r.killed_by for r in variants)
        print(f"{clear} of {len(variants)} variants unaccused over {len(matrix.seeds)} seed(s)")
    used = budget(matrix, effort)
    shares = ", ".join(f"{name} {used['share_' + name]:.0%}" for name in ("layers", "oracle", "judge"))
    print(f"{used['cases']} cases of effort {effort}, {used['seconds']:.1f} s; of the processes' time: {shares}")
    for row in (r for r in mutants if r.planted.escapes):
        print(
            f"escapes: {row.planted.name}: {row.planted.escapes}{'; it no longer does' if row.killed_by_family else ''}"
        )
    for row in rows:
        if not row.as_it_should_be:
            _print_wrong(matrix, row)


def _print_row(row: Row) -> None:
    said = ", ".join(row.killed_by[:3]) + (f" and {len(row.killed_by) - 3} more" if len(row.killed_by) > 3 else "")
    if row.planted.kind == "variant":
        verdict = f"ACCUSED by {said}" if row.killed_by else f"unaccused over {row.of} seed(s)"
    elif row.killed and not row.killed_by:
        verdict = f"{row.cases:>4} cases  own  noted by {', '.join(row.noted_by[:3])} (MAY)"
    elif not row.killed_by:
        verdict = "escapes, as known" if row.planted.escapes else "SURVIVES"
    else:
        own = "own" if row.killed_by_family else "NOT its own"
        verdict = f"{row.cases:>4} cases  {own}  {said}" + (f"  (stopped after {row.stopped})" if row.stopped else "")
    print(f"{row.planted.kind:<8}{row.planted.name:<46}{verdict}")


def _print_wrong(matrix: Matrix, row: Row) -> None:
    """Why a row is not as it should be."""
    p, on = row.planted, f" on {row.of - row.seeds} of {row.of} seeds" if row.of > 1 else ""
    if p.kind == "mutant":
        print(
            f"WRONG: mutant {p.name} escapes {' and '.join(p.killed_by)}{on}; killed by {', '.join(row.killed_by) or 'none'}"
        )
    elif row.worst is not None:
        case, worst = row.worst
        origin = matrix.origins[case]
        print(f"WRONG: variant {p.name} is accused{on} by {', '.join(row.killed_by)}")
        print(
            f"       worst: {worst.clause} on case {case} ({origin.get('purpose', 'drawn')}), ratio {worst.ratio:.3g}: {worst.message}"
        )
        print(f"       {origin.get('plan', '')}")
