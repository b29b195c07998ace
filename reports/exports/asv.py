"""A folder that airspeed velocity reads: results by machine, version and framework.

    asv.conf.json                                    the project, without a repository
    results/benchmarks.json                          what the benchmarks are
    results/<machine>/machine.json                   the machine
    results/<machine>/<version>-<framework>.json     what was timed on one release of one framework

asv files results under the hash of a commit. What is timed here are releases, which have none: the framework's version
stands where asv wants a hash, and is what ``asv show`` and ``asv compare`` are asked for. asv's samples are the processes'
medians, because processes are what statistics count; the date is that of the run.

Source: asv.results.Results, api_version 2, and asv.machine.Machine, api_version 1, of asv 0.6.
"""

from __future__ import annotations

import datetime
import json
import math
import re
import statistics
from collections.abc import Sequence
from typing import Any

from bnspec.errors import UsageError
from bnspec.reports.exports.selection import Selection, name
from bnspec.reports.run.records import SCHEMA, target_name
from bnspec.reports.run.store import Run
from bnspec.reports.summary.cells import Cell

CONFIGURATION, BENCHMARKS = "asv.conf.json", "results/benchmarks.json"
#: asv's versions of the forms of its files.
RESULTS_FORM, BENCHMARKS_FORM, MACHINE_FORM, CONFIGURATION_FORM = 2, 2, 1, 1
COLUMNS = (
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25", "stats_q_75",
    "stats_number", "stats_repeat", "samples",
)  # fmt: skip
#: What asv leaves of a median's interval when fewer processes than this ran: lowest to highest of n holds the median with
#: probability 1 - 2^(1 - n), and asv's interval is one of 99 %.
ENOUGH = math.ceil(1 - math.log2(1 - 0.99))


def asv(run: Run, selection: Selection) -> dict[str, str]:
    """Every file's text by its path in the folder."""
    machine = machine_of(run)
    files = {
        CONFIGURATION: _text(configuration()),
        BENCHMARKS: _text({**{name(c): description(c) for c in selection.taken}, "version": BENCHMARKS_FORM}),
        f"results/{machine['machine']}/machine.json": _text({**machine, "version": MACHINE_FORM}),
    }
    for (version, framework), listed in by_release(run, selection).items():
        path = f"results/{machine['machine']}/{version}-{framework}.json"
        files[path] = _text(results(run, machine, version, framework, listed))
    return files


def merged(old: str, new: str) -> str:
    """The benchmarks of two texts of ``benchmarks.json``. Raises ValueError: the old one is none of asv's."""
    before = json.loads(old)
    if not isinstance(before, dict) or before.get("version") != BENCHMARKS_FORM:
        raise ValueError(f"it is no list of benchmarks of asv's form {BENCHMARKS_FORM}")
    return _text({**before, **json.loads(new)})


def by_release(run: Run, selection: Selection) -> dict[tuple[str, str], list[Cell]]:
    """The cells by version and name of their framework; a backend whose version no one said has "unknown"."""
    releases = {target_name(t): (t.versions.get(t.framework, "unknown"), t.framework) for t in run.targets}
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in selection.taken:
        version, framework = releases.get(target_name(cell.first), ("unknown", ""))
        # asv takes what stands before the first hyphen of a file's name for the hash; a run may be anybody's, its versions too
        named = re.sub(r"[^A-Za-z0-9_+]+", ".", version).strip(".")[:100] or "unknown"
        release = named, _word(framework or cell.first.backend)
        found.setdefault(release, []).append(cell)
    return found


def results(run: Run, machine: dict[str, str], version: str, framework: str, listed: Sequence[Cell]) -> dict[str, Any]:
    """The results of one release."""
    try:
        started = round(datetime.datetime.fromisoformat(run.manifest.started).timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        why, fix = f"its manifest says that it started at {run.manifest.started!r}: {error}.", "restore the manifest."
        raise UsageError(f"{run.path} has no date for asv.", why, fix) from None
    return {
        "commit_hash": version,
        "env_name": framework,
        "date": started,
        "params": {**machine, "python": python_of(run)},
        "python": python_of(run),
        "requirements": {},
        "env_vars": {},
        "result_columns": list(COLUMNS),
        "results": {name(c): columns(c, started) for c in listed},
        "durations": {},
        "version": RESULTS_FORM,
    }


def columns(cell: Cell, started: int) -> list[Any]:
    """A cell's values in the order of ``COLUMNS``, in seconds; asv wants each in a list, one for each parameter."""
    medians = [m * 1e-9 for m in cell.medians_ns.values()]
    low, middle, high = statistics.quantiles(medians, n=4, method="inclusive") if len(medians) > 1 else medians * 3
    interval = (min(medians), max(medians)) if len(medians) >= ENOUGH else (-math.inf, math.inf)
    number = cell.timed[0].calls_per_sample
    return [
        [middle], [], SCHEMA, started, None, [interval[0]], [interval[1]], [low], [high], [number], [len(medians)], [medians],
    ]  # fmt: skip


def description(cell: Cell) -> dict[str, Any]:
    """What asv knows of a benchmark; there is no code of asv's that could run it."""
    return {
        "name": name(cell),
        "code": "",
        "params": [],
        "param_names": [],
        "type": "time",
        "unit": "seconds",
        "version": SCHEMA,
    }


def configuration() -> dict[str, Any]:
    """asv's configuration. ``asv compare`` wants a git repository in the folder; an empty one will do."""
    return {
        "version": CONFIGURATION_FORM,
        "project": "bnspec",
        "repo": ".",
        "results_dir": "results",
        "html_dir": "html",
    }


def machine_of(run: Run) -> dict[str, str]:
    """The machine in asv's words. A run knows no host name: the processor and the number of its cores name the machine."""
    told = run.manifest.machine
    cpu, cores = str(told.get("cpu", "unknown")), str(told.get("cores", ""))
    return {
        "machine": _word(f"{cpu}-{cores}-cores"),
        "os": str(told.get("system", "")),
        "arch": str(told.get("architecture", "")),
        "cpu": cpu,
        "num_cpu": cores,
        "ram": str(told.get("memory_bytes", "")),
    }


def python_of(run: Run) -> str:
    """Python's version to its minor number."""
    return ".".join(str(run.manifest.machine.get("python", "")).rpartition(" ")[2].split(".")[:2])


def _word(text: str) -> str:
    """Text that can name a file or a folder."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:100] or "unknown"


def _text(document: dict[str, Any]) -> str:
    """JSON as asv writes it, infinite intervals included."""
    return json.dumps(document, indent=1) + "\n"
