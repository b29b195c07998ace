"""``python -m bnspec.conformance.atlas [PACKAGE..]``: do what is missing of the atlas, and write its pages.

    docs/atlas/plan.toml    which releases of which packages, on which backends
    docs/atlas/PACKAGE/     entries, changes and cases; see ``bnspec.reports.atlas.atlas``
    runs/atlas/             raw run directories, out of git; what is there is read, not measured again

An entry that is there is left alone: remove it to have it measured again. Changes are found between releases whose raw runs are
there.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.conformance.atlas.domains import cases_by_id, domains
from bnspec.conformance.atlas.measure import Job, job_of, measure
from bnspec.conformance.atlas.pair import Measured, changes_between
from bnspec.errors import BnspecError
from bnspec.model.case import Case
from bnspec.reports.atlas.atlas import CASES, CHANGES, FOLDER, read_atlas
from bnspec.reports.atlas.changes import encode_changes
from bnspec.reports.atlas.entry import encode_entry
from bnspec.reports.atlas.page import pages
from bnspec.reports.run.store import write_atomically
from bnspec.terminal.console import terminal, verbatim

RAW = Path("runs/atlas")


def jobs_of(plan: dict[str, Any], raw: Path) -> list[Job]:
    """The releases of the plan, package by package, each in the order in which it is written: the oldest first."""
    return [
        job_of(text, tuple(package["backends"]), package.get("effort", "device"), plan.get("seed", 1), raw)
        for package in plan["package"]
        for text in package["releases"]
    ]


def main(words: Sequence[str], folder: Path = FOLDER, raw: Path = RAW) -> int:
    """Measure what is missing, one release after the other; then changes and pages. Returns the exit status."""
    console = terminal()
    jobs = jobs_of(tomllib.loads((folder / "plan.toml").read_text("utf-8")), raw)
    chosen = [j for j in jobs if not words or j.package in words]
    known: dict[tuple[str, int], dict[str, Case]] = {}
    before: Measured | None = None
    for job in chosen:
        entry = folder / job.package / f"{job.release}.json"
        changes = folder / job.package / f"{job.release}{CHANGES}"
        same = before is not None and before.entry.package == job.package
        needed = not entry.exists() or (same and not changes.exists() and job.folder.exists())
        if not needed and not job.folder.exists():
            before = None
            continue
        cases = known.setdefault((job.effort, job.seed), cases_by_id(job.effort, job.seed))
        verbatim(console, f"{job.package} {job.release}")
        try:
            measured = measure(job, domains(cases.values()))
        except NotBuilt as reason:
            verbatim(console, f"{job.package} {job.release} cannot be built: {reason.reason}")
            continue
        if not entry.exists():
            entry.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(entry, encode_entry(measured.entry))
        if before is not None and same and not changes.exists():
            _write_changes(before, measured, cases, changes)
        before = measured
    for name, page in pages(read_atlas(folder)).items():
        write_atomically(folder / name, page)
    return 0


def _write_changes(before: Measured, after: Measured, cases: dict[str, Case], path: Path) -> None:
    kept: list[Case] = []
    found = changes_between(before, after, cases, kept.append)
    (path.parent / CASES).mkdir(exist_ok=True)
    for case in kept:
        write_atomically(path.parent / CASES / f"{case.id}.json", case.dumps() + "\n")
    write_atomically(path, encode_changes(found))
    verbatim(
        terminal(), f"{found.before} to {found.after}: {len(found.changes)} changes, {len(found.unseen)} not seen again"
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BnspecError as error:
        verbatim(terminal(stderr=True), f"atlas: {error}")
        sys.exit(error.exit_status)
