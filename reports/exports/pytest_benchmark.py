"""The JSON of pytest-benchmark: ``pytest-benchmark compare FILE`` reads it as one of its own.

Each sample of each process is a round, in seconds, and the statistics are pytest-benchmark's own, of these rounds. What
bnspec says of the cell, the median of the processes' medians among it, stands in ``extra_info``. The group is the workload.

Source: https://pytest-benchmark.readthedocs.io, and ``pytest_benchmark.stats``, which computes the statistics here too.
"""

from __future__ import annotations

import json
from typing import Any

from bnspec.reports.exports.selection import Selection, name
from bnspec.reports.run.codec import plain
from bnspec.reports.run.records import Timing, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.summary.cells import Cell

#: What pytest-benchmark itself writes outside a repository.
NO_COMMIT = {"id": "unversioned", "time": None, "author_time": None, "dirty": False, "branch": "(unknown)"}
#: Of each, the median over the processes.
MIDDLES = ("import_ns", "first_ns", "compile_ns", "dispatch_ns", "page_faults_per_call", "peak_bytes")


def pytest_benchmark(run: Run, selection: Selection) -> str:
    """The document's text."""
    from pytest_benchmark import __version__ as version

    document = {
        "machine_info": machine_info(run),
        "commit_info": {**NO_COMMIT, "project": "bnspec"},
        "benchmarks": [benchmark(c) for c in selection.taken],
        "datetime": run.manifest.started,
        "version": version,
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def benchmark(cell: Cell) -> dict[str, Any]:
    """One entry of ``benchmarks``."""
    parameters = params(cell.first, cell.workload)
    return {
        "group": cell.workload,
        "name": name(cell),
        "fullname": name(cell),
        "params": parameters,
        "param": f"{cell.workload}-{cell.contender}",
        "extra_info": extra_info(cell),
        "options": {"disable_gc": True, "timer": "perf_counter_ns", "warmup": True},
        "stats": stats(cell),
    }


def params(timing: Timing, workload: str) -> dict[str, Any]:
    """The parameters: the same names in every entry, so that each can be grouped by."""
    return {
        "backend": target_name(timing),
        "workload": workload,
        "pass": timing.pass_name,
        "shape": "x".join(map(str, timing.shape)),
        "dtype": timing.dtype,
        "conditions": ",".join(f"{k}={timing.conditions[k]}" for k in sorted(timing.conditions)),
    }


def stats(cell: Cell) -> dict[str, Any]:
    """The statistics of the rounds, and the rounds; ``iterations`` are the calls of which a round is the mean."""
    from pytest_benchmark.stats import Stats

    collected: Any = Stats
    found = collected()
    for sample in cell.samples_ns:
        found.update(sample * 1e-9)
    return {**found.as_dict(), "data": found.data, "iterations": cell.timed[0].calls_per_sample}


def extra_info(cell: Cell) -> dict[str, Any]:
    """What bnspec knows of a cell and pytest-benchmark has no column for; times in nanoseconds."""
    first = cell.first
    return {
        "backend": first.backend,
        "device": first.device,
        "contender": cell.contender,
        "workload_name": first.workload,
        "regime": first.regime,
        "scans": list(first.scans),
        "conditions": dict(first.conditions),
        "verdict": cell.verdict,
        "ratio": plain(cell.ratio),
        "message": cell.message,
        "median_of_processes_ns": cell.median_ns,
        "medians_ns": list(cell.medians_ns.values()),
        "calls_per_sample": [t.calls_per_sample for t in cell.timed],
        "threads": first.threads,
        **{field: cell.middle(field) for field in MIDDLES},
        "probes": {probe: said for t in cell.timings for probe, said in t.probes.items()},
        "kernels": next((dict(t.kernels) for t in cell.timings if t.kernels), {}),
        "moved_bytes": plain(first.moved_bytes),
        "roof_ns": cell.roof_ns,
        "fraction_of_roof": cell.fraction,
        "impossible": cell.impossible,
    }


def machine_info(run: Run) -> dict[str, Any]:
    """The run's machine in pytest-benchmark's words; a run knows no host name."""
    machine = run.manifest.machine
    implementation, _, version = str(machine.get("python", "")).partition(" ")
    system, _, release = str(machine.get("system", "")).partition(" ")
    return {
        "node": "",
        "processor": "",
        "machine": machine.get("architecture", ""),
        "python_implementation": implementation,
        "python_implementation_version": version,
        "python_version": version,
        "release": release,
        "system": system,
        "cpu": {"brand_raw": machine.get("cpu", ""), "count": machine.get("cores")},
    }
