"""Several runs as one: a verify run and a bench run on one page."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.errors import UsageError
from bnspec.reports.run.records import Finding, TargetRecord, Timing, identity, target_name
from bnspec.reports.run.store import Run


def merge(runs: Sequence[Run]) -> Run:
    """The runs' records together, under the first one's path and manifest; whole only if each of them is.

    Raises UsageError: two runs judge or time the same cell, so that one page cannot say what holds.
    """
    if len(runs) == 1:
        return runs[0]
    _distinct(runs)
    targets: dict[str, TargetRecord] = {}
    for run in runs:
        for target in run.targets:
            known = targets.get(target_name(target))
            if known is None or known.status != "ready":
                targets[target_name(target)] = target
    finished = [run.finished for run in runs if run.finished is not None]
    return dataclasses.replace(
        runs[0],
        targets=tuple(targets.values()),
        findings=tuple(f for run in runs for f in run.findings),
        incidents=tuple(i for run in runs for i in run.incidents),
        timings=tuple(t for run in runs for t in run.timings),
        roofs=tuple(r for run in runs for r in run.roofs),
        comparisons=tuple(c for run in runs for c in run.comparisons),
        targets_finished=tuple(t for run in runs for t in run.targets_finished),
        finished=finished[-1] if len(finished) == len(runs) else None,
    )


def warnings(runs: Sequence[Run]) -> list[str]:
    """What a reader must know before believing the page: runs cut short, and runs that do not belong together."""
    found = [
        f"Run {run.manifest.id} was cut short: what follows is what it had recorded."
        for run in runs
        if not run.complete
    ]
    first = runs[0]
    for run in runs[1:]:
        if run.manifest.machine != first.manifest.machine:
            found.append(f"Runs {first.manifest.id} and {run.manifest.id} were made on different machines.")
        if run.manifest.bnspec != first.manifest.bnspec:
            found.append(f"Runs {first.manifest.id} and {run.manifest.id} were made by different versions of bnspec.")
    versions: dict[str, TargetRecord] = {}
    for run in runs:
        for target in run.targets:
            other = versions.setdefault(target_name(target), target)
            if target.versions and other.versions and target.versions != other.versions:
                found.append(f"{target_name(target)} has different versions in the runs on this page.")
    return found


def _distinct(runs: Sequence[Run]) -> None:
    """Refuse two runs that speak of the same cell."""
    seen: dict[object, Run] = {}
    for run in runs:
        records: tuple[Finding | Timing, ...] = (*run.findings, *run.timings)
        for record in records:
            cell = identity(record)[:2] if isinstance(record, Timing) else identity(record)  # of whatever process
            other = seen.setdefault(cell, run)
            if other is not run:
                raise UsageError(
                    f"{other.path} and {run.path} both hold {cell[0]} of {target_name(record)}.",
                    "one page can say one thing of a cell.",
                    "report one of them, or make a page of each.",
                )
