"""``python -m bnspec.conformance.atlas [PACKAGE..]``: do what is missing of the atlas, and write its pages.

    docs/atlas/plan.toml    which releases of which packages, on which backends
    docs/atlas/PACKAGE/     entries, changes, cases and scripts; see ``bnspec.reports.atlas.atlas``
    runs/atlas/index.html   the page
    runs/atlas/             raw run directories, out of git; what is there is read, not measured again

An entry that is there is left alone: remove it, and its changes, to have it measured again; cases that no change names any more are
removed. Changes need the raw runs of both releases: where one is
gone, that release is measured again. A package that the plan does not have, as in PACKAGES=none, measures nothing: the pages are written.
"""

from __future__ import annotations

import itertools
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnspec.backends.harness.environments.failure import NotBuilt
from bnspec.conformance.atlas.domains import cases_by_id, domains
from bnspec.conformance.atlas.measure import Job, job_of, measure
from bnspec.conformance.atlas.pair import Measured, changes_between
from bnspec.conformance.atlas.repros import run_scripts
from bnspec.errors import BnspecError
from bnspec.model.case import Case
from bnspec.reports.atlas.atlas import CASES, CHANGES, FOLDER, read_atlas
from bnspec.reports.atlas.changes import decode_changes, encode_changes
from bnspec.reports.atlas.entry import encode_entry
from bnspec.reports.atlas.page import pages
from bnspec.reports.page.atlas import atlas_page
from bnspec.reports.page.page import NAME
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


@dataclass
class _Making:
    """The atlas that is made, and the cases of each effort and seed."""

    folder: Path
    known: dict[tuple[str, int], dict[str, Case]] = field(default_factory=dict)

    def entry(self, job: Job) -> Path:
        """The file of a release."""
        return self.folder / job.package / f"{job.release}.json"

    def changes(self, job: Job) -> Path:
        """The file of what changed with it."""
        return self.folder / job.package / f"{job.release}{CHANGES}"

    def needed(self, jobs: Sequence[Job]) -> list[Job]:
        """The releases to measure: those without an entry, and both sides of changes that nobody has looked for."""
        lacking = {b.release for b in jobs[1:] if not self.changes(b).exists()}
        lacking |= {a.release for a, b in itertools.pairwise(jobs) if b.release in lacking}
        return [job for job in jobs if job.release in lacking or not self.entry(job).exists()]

    def measured(self, job: Job) -> Measured | None:
        """A release, measured; None where it cannot be built."""
        cases = self.cases(job)
        verbatim(terminal(), f"{job.package} {job.release}")
        try:
            found = measure(job, domains(cases.values()))
        except NotBuilt as reason:
            verbatim(terminal(), f"{job.package} {job.release} cannot be built: {reason.reason}")
            return None
        if not self.entry(job).exists():
            self.entry(job).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.entry(job), encode_entry(found.entry))
        return found

    def cases(self, job: Job) -> dict[str, Case]:
        """The cases that a release is judged on."""
        return self.known.setdefault((job.effort, job.seed), cases_by_id(job.effort, job.seed))

    def make(self, jobs: Sequence[Job]) -> None:
        """One package: measure what is missing, the oldest first, and look for the changes from each release to the next."""
        needed = self.needed(jobs)
        before: Measured | None = None
        for job in jobs:
            if job not in needed:
                before = None
                continue
            now = self.measured(job)
            if before is not None and now is not None and not self.changes(job).exists():
                _write_changes(before, now, self.cases(job), self.changes(job))
            before = now or before


def main(words: Sequence[str], folder: Path = FOLDER, raw: Path = RAW) -> int:
    """Measure what is missing, one release after the other; then changes and pages. Returns the exit status."""
    making = _Making(folder)
    jobs = jobs_of(tomllib.loads((folder / "plan.toml").read_text("utf-8")), raw)
    for package, of in itertools.groupby(jobs, key=lambda job: job.package):
        if not words or package in words:
            making.make(listed := list(of))
            run_scripts(listed, folder / package)
            sweep(folder / package)
    atlas = read_atlas(folder)
    for name, page in pages(atlas).items():
        write_atomically(folder / name, page)
    raw.mkdir(parents=True, exist_ok=True)
    write_atomically(raw / NAME, atlas_page(atlas))
    return 0


def sweep(folder: Path) -> None:
    """Remove the cases of a package that no change names any more: those of entries that were measured again."""
    named = {
        c.case for path in folder.glob(f"*{CHANGES}") for c in decode_changes(path.read_text("utf-8"), path).changes
    }
    for path in (folder / CASES).glob("*.json"):
        if path.stem not in named:
            path.unlink()


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
