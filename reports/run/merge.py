"""Several runs as one: a verify run and a bench run on one page."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.errors import UsageError
from bnspec.reports.run.conventions import Convention, Translation
from bnspec.reports.run.mutants import ClauseKills, Mutant, Variant
from bnspec.reports.run.records import (
    Finding,
    Record,
    RunFinished,
    TargetRecord,
    Timing,
    identity,
    target_name,
    workload_id,
)
from bnspec.reports.run.stability import Reach, StabilityCurve, subject
from bnspec.reports.run.store import Run


def merge(runs: Sequence[Run]) -> Run:
    """The runs' records together, under the first one's path and manifest; whole only if each of them is.

    Raises UsageError: two runs judge or time the same cell, so that one page cannot say what holds.
    """
    if len(runs) == 1:
        return runs[0]
    _distinct(runs)
    targets: dict[str, TargetRecord] = {}
    others: dict[tuple[object, ...], Record] = {}
    for number, run in enumerate(runs):
        for record in run.records:
            if isinstance(record, TargetRecord):
                known = targets.get(target_name(record))
                if known is None or known.status != "ready":
                    targets[target_name(record)] = record
            elif isinstance(record, Reach):
                others[Reach, record.dtype] = _farther(others.get((Reach, record.dtype)), record)
            elif not isinstance(record, RunFinished):
                others[number, type(record), *identity(record)] = record
    finished = [run.finished for run in runs if run.finished is not None]
    end = finished[-1:] if len(finished) == len(runs) else []
    damaged = tuple(d for run in runs for d in run.damaged)
    return Run(runs[0].path, runs[0].manifest, (*targets.values(), *others.values(), *end), damaged)


def _farther(known: Record | None, new: Reach) -> Reach:
    """Of two accounts of a dtype's reach the one that went farther."""
    return known if isinstance(known, Reach) and known.largest >= new.largest else new


def warnings(runs: Sequence[Run]) -> list[str]:
    """What a reader must know before believing the page: runs cut short, and runs that do not belong together."""
    found = [
        f"Run {run.manifest.id} was cut short: what follows is what it had recorded."
        for run in runs
        if not run.complete
    ]
    found += [damage(run) for run in runs if run.damaged]
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


def damage(run: Run) -> str:
    """Which lines of a run were left out, and why."""
    listed = ", ".join(f"line {d.number} ({d.why})" for d in run.damaged[:5])
    more = f" and {len(run.damaged) - 5} more" if len(run.damaged) > 5 else ""
    return f"Run {run.manifest.id} has damaged records, which were left out: {listed}{more}."


#: Kinds of which a page can hold one record of each identity: what is said, on what, and of whom.
CELLS = (Finding, Timing, Convention, Translation, StabilityCurve, Mutant, Variant, ClauseKills)


def _distinct(runs: Sequence[Run]) -> None:
    """Refuse two runs that speak of the same cell."""
    seen: dict[object, Run] = {}
    for run in runs:
        for record in run.records:
            if not isinstance(record, CELLS):
                continue
            # a cell of timings holds all processes of a run
            cell = identity(record)[:2] if isinstance(record, Timing) else identity(record)
            other = seen.setdefault((type(record), *cell), run)
            if other is not run:
                raise UsageError(
                    f"{other.path} and {run.path} both hold {_cell(record)}.",
                    "one page can say one thing of a cell.",
                    "report one of them, or make a page of each.",
                )


def _cell(record: Record) -> str:
    """The cell of a record, for a person."""
    match record:
        case Mutant() | Variant():
            return f"what the suite says of {record.name}"
        case ClauseKills():
            return f"the kills of {record.clause}"
        case Translation():
            names = f"{record.backend}@{record.device} to {record.to_backend}@{record.to_device}"
            return f"the translation from {names} for {record.purpose}"
        case Convention():
            return f"{record.field} of {target_name(record)}"
        case StabilityCurve():
            return f"the curve of {record.output}, {record.dtype}, {record.form}, of {subject(record)}"
        case Timing():
            return f"{workload_id(record)} of {target_name(record)}"
        case Finding():
            return f"{record.clause} of {target_name(record)}"
    raise TypeError(f"{type(record).__name__} is no cell")
