"""Repros on a terminal: a row each, and the output of the scripts that did not reproduce their deviation."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from bnspec.conformance.repro.scripts import Repro, run_all
from bnspec.reports.run.records import target_name
from bnspec.terminal.console import line, show, table, terminal, verbatim
from bnspec.terminal.progress import Progress


def run_with_progress(made: Sequence[Repro], jobs: int, quiet: bool) -> list[Repro]:
    """Run the scripts and report how many are done."""
    done = itertools.count(1)
    total = sum(r.path is not None for r in made)
    with Progress(quiet) as progress:

        def report(repro: Repro) -> None:
            if repro.path is not None:
                progress.update("repros", repro.path.name, next(done), total)

        progress.update("repros", "running", 0, total)
        ended = run_all(made, jobs, report)
        progress.end("repros", f"done, {total} scripts")
    return ended


def print_repros(made: Sequence[Repro]) -> None:
    """Print a table: backend, clause, class, and how it ended."""
    console = terminal()
    if not made:
        line(console, "nothing deviates: there is no repro to write")
        return
    listed = table(console, "backend", "clause", "class", "repro")
    for repro in made:
        listed.add_row(*_row(repro))
    show(console, listed)
    for repro in made:
        if repro.status in ("failed", "not reproduced") and repro.outcome is not None:
            verbatim(console, f"\n{repro.path}: {repro.status}, exit status {repro.outcome.exit_status}")
            verbatim(console, "\n".join("  " + text for text in repro.outcome.output.splitlines()[-8:]))
    counts = Counter(r.status for r in made)
    verbatim(console, f"\n{len(made)} deviations: " + ", ".join(f"{n} {status}" for status, n in counts.items()))
    folders = {str(r.path.parent) for r in made if r.path}
    for folder in sorted(folders):
        verbatim(console, folder)


def _row(repro: Repro) -> tuple[str, str, str, str]:
    kind = ", ".join(dict.fromkeys(k.kind for k in repro.finding.known)) or "not classed"
    backend = repro.finding.backend if repro.finding.device == "cpu" else target_name(repro.finding)
    runs = repro.outcome.runs if repro.outcome else 1
    runs_taken = f" in {runs} runs" if runs > 1 else ""
    return (
        backend,
        repro.finding.clause,
        kind,
        repro.status + runs_taken + (f": {repro.reason}" if repro.reason else ""),
    )
