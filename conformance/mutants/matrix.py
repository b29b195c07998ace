"""The kill matrix: every mutant and variant through the suite, and who killed what."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bnspec.backends.launcher import Worker
from bnspec.backends.registry import Entry
from bnspec.case import Case
from bnspec.clauses import ASKED
from bnspec.cli import CONFORMS, DEVIATES
from bnspec.conformance.effort import cases_of
from bnspec.conformance.judge import FAILING, Court
from bnspec.conformance.mutants.catalogue import Planted, select
from bnspec.conformance.run import Cases
from bnspec.errors import HarnessError


@dataclass(frozen=True)
class Row:
    """One mutant or variant and what the suite said.

    Attributes:
        killed_by: clauses of level MUST or SHOULD that deviate, in the specification's order.
        cases: how many cases had been run when the first of them did; 0 if none.
    """

    planted: Planted
    killed_by: tuple[str, ...]
    cases: int

    @property
    def as_it_should_be(self) -> bool:
        """A mutant is killed by a clause that it is named for; a variant by none."""
        if self.planted.kind == "variant":
            return not self.killed_by
        return any(c in self.killed_by for c in self.planted.killed_by)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data."""
        p = self.planted
        return {
            "name": p.name,
            "kind": p.kind,
            "family": p.family,
            "statement": p.statement,
            "killed": bool(self.killed_by),
            "killed_by": list(self.killed_by),
            "expected": list(p.killed_by),
            "as_it_should_be": self.as_it_should_be,
            "cases_to_first_kill": self.cases,
        }


def try_planted(planted: Planted, cases: Sequence[Case], shared: Cases) -> Row:
    """Run every case on one mutant or variant."""
    with Worker(Entry(planted.name, planted.adapter), "cpu") as worker:
        if worker.hello.profile is None:
            raise HarnessError(f"{planted.name} did not open: {worker.hello.reason}.", "", "mend it: it is ours.")
        court, first = Court(list(ASKED), worker.hello.profile), 0
        for number, case in enumerate(cases, 1):
            verdicts = court.hear(case, worker.run(case), shared.oracle(case))
            if not first and any(j is not None and not j.holds for j in verdicts.values()):
                first = number
    return Row(
        planted, tuple(c for c, t in court.tallies.items() if t.verdict in FAILING and ASKED[c].level != "MAY"), first
    )


def kill_matrix(
    names: Sequence[str], effort: str, seed: int, jobs: int, told: Callable[[Row], None] = lambda row: None
) -> list[Row]:
    """All rows; ``told`` hears each as it is done."""
    cases = list(cases_of(effort, seed))
    shared = Cases(cases, keep=len(cases))

    def one(planted: Planted) -> Row:
        row = try_planted(planted, cases, shared)
        told(row)
        return row

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(one, select(names)))


def unique_kills(rows: Sequence[Row]) -> dict[str, list[str]]:
    """For each clause the mutants that only it kills."""
    alone: dict[str, list[str]] = {c: [] for c in ASKED}
    for row in rows:
        if row.planted.kind == "mutant" and len(row.killed_by) == 1:
            alone[row.killed_by[0]].append(row.planted.name)
    return alone


def print_matrix(names: Sequence[str], effort: str, seed: int, jobs: int, as_json: bool) -> int:
    """Run and print; exit status 1 when a mutant survives or a variant is accused."""
    rows = kill_matrix(names, effort, seed, jobs, told=(lambda row: None) if as_json else _print_row)
    wrong = [r for r in rows if not r.as_it_should_be]
    killers = {c for r in rows if r.planted.kind == "mutant" for c in r.killed_by}
    mistrusted = [c for c in ASKED if c not in killers]
    if as_json:
        document = {
            "mutants": [r.to_json() for r in rows],
            "unique_kills": {c: names for c, names in unique_kills(rows).items() if names},
            "mistrusted": mistrusted,
        }
        print(json.dumps(document, indent=1))
        return DEVIATES if wrong else CONFORMS
    mutants = [r for r in rows if r.planted.kind == "mutant"]
    killed = sum(bool(r.killed_by) for r in mutants)
    accused = sum(bool(r.killed_by) for r in rows if r.planted.kind == "variant")
    print(f"\n{killed} of {len(mutants)} mutants killed; {accused} of {len(rows) - len(mutants)} variants accused")
    if not names:
        print("clauses that killed no mutant (mistrusted): " + (", ".join(mistrusted) or "none"))
    for row in wrong:
        print(
            f"WRONG: {row.planted.kind} {row.planted.name}: expected {', '.join(row.planted.killed_by) or 'no accusation'}"
        )
    return DEVIATES if wrong else CONFORMS


def _print_row(row: Row) -> None:
    said = ", ".join(row.killed_by[:4]) + (f" and {len(row.killed_by) - 4} more" if len(row.killed_by) > 4 else "")
    verdict = f"killed after {row.cases:>3} cases by {said}" if row.killed_by else "survives"
    print(f"{row.planted.kind:<8}{row.planted.name:<32}{verdict}", flush=True)
