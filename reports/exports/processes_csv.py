"""CSV with one row for each process of each cell, tidy: one value a field, units in the names, "" where there is none.

Every process is there whatever its verdict; what was not timed has no times.
"""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from bnspec.reports.exports.selection import cells_of
from bnspec.reports.run.records import Timing, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.summary.cells import Cell

#: Fields of a timing that are one value as they are.
SCALARS = (
    "threads", "calls_per_sample", "first_ns", "import_ns", "compile_ns", "dispatch_ns", "page_faults_per_call",
    "peak_bytes",
)  # fmt: skip


def processes_csv(run: Run) -> str:
    """The table's text, with its header."""
    versions = {target_name(t): (t.framework, t.versions.get(t.framework, "")) for t in run.targets}
    return table(
        row(run, cell, t, *versions.get(target_name(t), ("", ""))) for cell in cells_of(run) for t in cell.timings
    )


def row(run: Run, cell: Cell, timing: Timing, framework: str, version: str) -> dict[str, Any]:
    """One process as names and values."""
    read, written = timing.moved_bytes or (None, None)
    return {
        **identity(cell, timing),
        "run": run.manifest.id,
        "started": run.manifest.started,
        "framework": framework,
        "framework_version": version,
        "verdict": timing.verdict,
        "ratio": timing.ratio,
        "message": timing.message,
        **{field: getattr(timing, field) for field in SCALARS},
        **summary(timing.samples_ns),
        "read_bytes": read,
        "written_bytes": written,
        "roof_ns": cell.roof_ns,
        "objections": "; ".join(f"{probe}: {said}" for probe, said in timing.probes.items() if said),
    }


def identity(cell: Cell, timing: Timing) -> dict[str, Any]:
    """What tells a process from all others, whole and in its parts."""
    return {
        "workload_id": cell.workload,
        "contender": cell.contender,
        "process": timing.process,
        "backend": timing.backend,
        "device": timing.device,
        "conditions": ",".join(f"{k}={timing.conditions[k]}" for k in sorted(timing.conditions)),
        "pass": timing.pass_name,
        "shape": "x".join(map(str, timing.shape)),
        "dtype": timing.dtype,
        "channel_axis": timing.channel_axis,
        "workload": timing.workload,
        "regime": timing.regime,
        "scans": " ".join(timing.scans),
    }


def summary(samples_ns: tuple[int, ...]) -> dict[str, float | None]:
    """Count and quantiles of samples, their mean and their standard deviation (of at least two)."""
    names = ("minimum_ns", "q25_ns", "median_ns", "q75_ns", "maximum_ns", "mean_ns", "stddev_ns")
    if not samples_ns:
        return {"samples": 0, **dict.fromkeys(names)}
    several = len(samples_ns) > 1
    low, middle, high = statistics.quantiles(samples_ns, n=4, method="inclusive") if several else samples_ns * 3
    spread = statistics.stdev(samples_ns) if several else None
    values = (min(samples_ns), low, middle, high, max(samples_ns), statistics.fmean(samples_ns), spread)
    return {"samples": len(samples_ns), **dict(zip(names, values, strict=True))}


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows of the same names as CSV; "" without rows."""
    listed = list(rows)
    text = io.StringIO()
    if listed:
        writer = csv.DictWriter(text, list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in listed)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A value as a spreadsheet shows it: a text that would be a formula begins with an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
