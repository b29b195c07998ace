"""How well a plan would use many workers: a simulation from the recorded times of a run.

Units are given out longest first, each to the worker that is free first (Graham's list schedule, at most 4/3 of the best). A
unit pays for its start, the drawing of all cases, and the opening of its framework, before its share of the cases.

    efficiency = seconds of cases, shrinking and causes / (workers * seconds until the last unit ends)
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bnspec.errors import UsageError
from bnspec.reports.run.journal import JudgedCase, read_journal
from bnspec.reports.run.store import read_run

#: Seconds from the start of a Python to the harness's first work: about what importing it takes on one core.
START_SECONDS = 1.0
#: Parts of a case's recorded time. The wall time of the wire has waiting in it, which is the backend's; the judge's has the oracle's.
PARTS = ("backend", "wire_cpu", "judge_cpu")
#: Shards that are tried.
TRIED = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)


@dataclass(frozen=True)
class Times:
    """Recorded times in seconds.

    Attributes:
        cases: by target, of each case in the run's order; before: by target, until a unit judges its first case; after: by
            target, shrinking and the search for causes, which a unit of each shard may do.
    """

    cases: Mapping[str, Sequence[float]]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @property
    def total(self) -> float:
        """Of all the work that a single worker would do, without starting and opening."""
        return sum(map(sum, self.cases.values())) + sum(self.after.values())


@dataclass(frozen=True)
class Schedule:
    """What a simulation gave; ``seconds``: until the last unit ends."""

    shards: int
    units: int
    workers: int
    seconds: float
    efficiency: float

    def __str__(self) -> str:
        return (
            f"{self.units} units ({self.shards} of each target) on {self.workers} workers: {self.seconds:.1f} s, "
            f"efficiency {self.efficiency:.1%}"
        )


def recorded_times(path: Path) -> Times:
    """The times in the journal of a finished run of verify. Raises UsageError: it is none, or has no journal.

    The oracle's answers are shared by the targets of a run, so a case's is charged to whichever came first: here each target
    pays for it, as a unit does.
    """
    run = read_run(path)
    entries = [e for e in read_journal(path) if isinstance(e, JudgedCase)]
    if run.finished is None or not entries:
        raise UsageError(
            f"{path} has no times.", "it is not finished, or has no journal.", "name a finished run of bnspec verify."
        )
    oracle: dict[str, float] = {}
    for e in entries:
        oracle[e.case] = max(oracle.get(e.case, 0.0), e.seconds.get("oracle_cpu", 0.0))
    cases: dict[str, list[float]] = {}
    for e in sorted(entries, key=lambda e: e.order):
        seconds = sum(e.seconds.get(p, 0.0) for p in PARTS) - e.seconds.get("oracle_cpu", 0.0) + oracle[e.case]
        cases.setdefault(f"{e.backend}@{e.device}", []).append(seconds)
    drawing = run.finished.seconds.get("hypothesis_cpu", 0.0)
    spent = {f"{t.backend}@{t.device}": t.seconds for t in run.targets_finished}
    before = {t: START_SECONDS + drawing + spent.get(t, {}).get("open", 0.0) for t in cases}
    after = {t: sum(spent.get(t, {}).get(n, 0.0) for n in ("shrink", "causes")) for t in cases}
    return Times(cases, before, after)


def simulated(times: Times, shards: int, workers: int) -> Schedule:
    """The schedule of all targets in so many shards each."""
    units = sorted(
        (
            times.before[target] + sum(seconds[shard::shards]) + times.after[target]
            for target, seconds in times.cases.items()
            for shard in range(shards)
        ),
        reverse=True,
    )
    ends = [0.0] * min(workers, len(units))
    for seconds in units:
        heapq.heapreplace(ends, ends[0] + seconds)
    last = max(ends)
    return Schedule(shards, len(units), workers, last, times.total / (workers * last))


def best(times: Times, workers: int) -> Schedule:
    """The schedule that ends first, of equals that with fewer shards."""
    return min((simulated(times, shards, workers) for shards in TRIED), key=lambda s: (s.seconds, s.shards))
