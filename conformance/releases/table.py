"""Releases side by side, as the terminal and JSON show them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bnspec.backends.harness.registry import Entry
from bnspec.model.names import base_of
from bnspec.reports.run.records import TargetRecord
from bnspec.reports.run.store import Run
from bnspec.reports.run.vocabulary import FAILING
from bnspec.terminal.console import heading, indented, line, show, table, terminal

#: What the states of a target say of a backend in a release.
STATES = {
    "unavailable": "absent in this release",
    "broken": "its adapter does not open",
    "absent": "device absent",
    "unbuilt": "no environment",
}


def rows(run: Run, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A row for each backend in each release, JSON-ready."""
    return [_row(run, record) for e in entries for record in run.targets if record.backend == e.name]


def _row(run: Run, record: TargetRecord) -> dict[str, Any]:
    mine = [f for f in run.findings if (f.backend, f.device) == (record.backend, record.device)]
    environment = record.environment
    return {
        "release": environment.specification if environment else record.backend.removeprefix(base_of(record.backend)),
        "backend": base_of(record.backend),
        "device": record.device,
        "state": STATES.get(record.status, record.status),
        "reason": record.reason,
        "python": environment.python if environment else "",
        "lock": environment.lock if environment else "",
        "packages": environment.packages if environment else {},
        "verdicts": dict(Counter(f.verdict for f in mine)),
        "deviates": sorted(f.clause for f in mine if f.verdict in FAILING and f.level != "MAY"),
    }


def print_releases(run: Run, entries: Sequence[Entry]) -> None:
    """A table of the releases, and for each backend what changed from one to the next."""
    console = terminal()
    found = rows(run, entries)
    heading(console, "releases")
    listed = table(console, "release", "backend", "state", "Python", "judged", "deviate", right=("judged", "deviate"))
    for row in found:
        judged = sum(n for verdict, n in row["verdicts"].items() if verdict in ("conforms", *FAILING))
        ready = row["state"] == "ready"
        numbers = (str(judged), str(len(row["deviates"]))) if ready else ("", "")
        listed.add_row(row["release"].strip("[]"), row["backend"], row["state"], row["python"], *numbers)
    show(console, listed)
    for row in found:
        if row["state"] != "ready":
            indented(console, f"{row['backend']}, {row['release'].strip('[]')}: {row['state']}: {row['reason']}")
    for name in dict.fromkeys(row["backend"] for row in found):
        mine = [row for row in found if row["backend"] == name and row["state"] == "ready"]
        for before, after in itertools.pairwise(mine):
            _print_change(name, before, after)
    line(console)


def _print_change(name: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What changed between two releases: the clauses that one breaks and the other does not."""
    broken, mended = (sorted(set(a["deviates"]) - set(b["deviates"])) for a, b in ((after, before), (before, after)))
    console, between = terminal(), f"{name}, {before['release']} to {after['release']}"
    if not broken and not mended:
        line(console, f"{between}: the same clauses deviate")
    for clauses, what in ((broken, "newly deviate"), (mended, "deviate no more")):
        if clauses:
            indented(console, f"{between}: {what}: {', '.join(clauses)}")
