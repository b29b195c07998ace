"""Repros on a terminal: a line each, and what the scripts printed where it was not what was expected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from bnspec.conformance.repro.deviation import known_of
from bnspec.conformance.repro.scripts import Repro
from bnspec.reports.run.records import target_name
from bnspec.reports.tables.run import terminal


def print_repros(made: Sequence[Repro]) -> None:
    """A table: backend, clause, class, and how it ended."""
    console = terminal()
    if not made:
        _line(console, "nothing deviates: there is no repro to write")
        return
    rows = [("backend", "clause", "class", "repro")] + [_row(r) for r in made]
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for row in rows:
        _line(console, "  ".join(f"{cell:<{width}}" for cell, width in zip(row[:3], widths)) + "  " + row[3])
    for repro in made:
        if repro.status in ("failed", "not reproduced") and repro.outcome is not None:
            _line(console, f"\n{repro.path}: {repro.status}, exit status {repro.outcome.exit_status}")
            _line(console, "\n".join("  " + line for line in repro.outcome.output.splitlines()[-8:]))
    counts = Counter(r.status for r in made)
    _line(console, f"\n{len(made)} deviations: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    folders = {str(r.path.parent) for r in made if r.path}
    for folder in sorted(folders):
        _line(console, folder)


def _row(repro: Repro) -> tuple[str, str, str, str]:
    kind = ", ".join(dict.fromkeys(k.kind for k in known_of(repro.finding))) or "not classed"
    backend = repro.finding.backend if repro.finding.device == "cpu" else target_name(repro.finding)
    runs = repro.outcome.runs if repro.outcome else 1
    runs_taken = f" in {runs} runs" if runs > 1 else ""
    return (
        backend,
        repro.finding.clause,
        kind,
        repro.status + runs_taken + (f": {repro.reason}" if repro.reason else ""),
    )


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
