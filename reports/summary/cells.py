"""Timings put together: the processes of one contender on one workload are a cell. No I/O, no drawing.

A process is the unit of everything said of time: the median of a cell is the median of its processes' medians, and its
spread is theirs.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from bnspec.reports.run.codec import to_json
from bnspec.reports.run.fields import Ratio
from bnspec.reports.run.records import Timing, contender, ratio_value, workload_id
from bnspec.reports.run.vocabulary import TimingVerdict
from bnspec.reports.summary.bandwidth import Ceiling
from bnspec.reports.summary.counts import MARKS


@dataclasses.dataclass(frozen=True)
class Cell:
    """One contender on one workload.

    Attributes:
        workload, contender: what was timed, and who under which conditions.
        timings: of every process, in their order; at least one.
        roofs_ns: by process, the least time, in nanoseconds, that the memory allowed in its round; empty where no roof was
            measured.
    """

    workload: str
    contender: str
    timings: tuple[Timing, ...]
    roofs_ns: Mapping[int, float] = dataclasses.field(default_factory=dict)

    @property
    def roof_ns(self) -> float | None:
        """The median of the roofs."""
        return statistics.median(self.roofs_ns.values()) if self.roofs_ns else None

    @property
    def first(self) -> Timing:
        """A timing of the cell, for what all of them share."""
        return self.timings[0]

    @property
    def timed(self) -> tuple[Timing, ...]:
        """Those that have samples."""
        return tuple(t for t in self.timings if t.samples_ns)

    @property
    def medians_ns(self) -> dict[int, float]:
        """The median of each process that has one, by its number."""
        return {t.process: t.median_ns for t in self.timings if t.median_ns is not None}

    @property
    def median_ns(self) -> float | None:
        """The median of the processes' medians."""
        medians = self.medians_ns.values()
        return statistics.median(medians) if medians else None

    @property
    def samples_ns(self) -> tuple[int, ...]:
        """The samples of all processes."""
        return tuple(s for t in self.timings for s in t.samples_ns)

    @property
    def verdict(self) -> TimingVerdict:
        """The weightiest verdict of any process."""
        verdicts = {t.verdict for t in self.timings}
        return next(v for v in MARKS if v in verdicts)

    @property
    def ratio(self) -> Ratio:
        """The worst error / bound of any process."""
        return max((t.ratio for t in self.timings if t.ratio is not None), key=ratio_value, default=None)

    @property
    def message(self) -> str:
        """What the weightiest process says."""
        return next(t.message for t in self.timings if t.verdict == self.verdict)

    @property
    def fraction(self) -> float | None:
        """Of the roof: the least time over the time taken, process by process, and the median of these."""
        medians = self.medians_ns
        shares = [roof / medians[process] for process, roof in self.roofs_ns.items() if medians.get(process)]
        return statistics.median(shares) if shares else None

    @property
    def impossible(self) -> bool:
        """Whether the cell was faster than the memory of this run allows, by more than 5 %."""
        return self.fraction is not None and self.fraction > IMPOSSIBLE

    @property
    def spread(self) -> float | None:
        """Half the range of the processes' medians, as a share of their median; None of fewer than two processes."""
        medians = self.medians_ns.values()
        if len(medians) < 2 or not self.median_ns:
            return None
        return (max(medians) - min(medians)) / 2 / self.median_ns

    @property
    def probes(self) -> dict[str, str]:
        """Each probe that any process made, with the first objection of any (none: "")."""
        found: dict[str, str] = {}
        for t in self.timings:
            for name, objection in t.probes.items():
                found[name] = found.get(name) or objection
        return found

    def middle(self, field: str) -> float | None:
        """The median over the processes of a number that may be missing, e.g. "first_ns", "compile_ns", "peak_bytes"."""
        values = [v for t in self.timings if (v := getattr(t, field)) is not None]
        return statistics.median(values) if values else None

    def to_json(self) -> dict[str, Any]:
        """The cell as JSON-ready data: the common fields, medians over the processes, and every process."""
        common = {k: v for k, v in to_json(self.first).items() if k in _COMMON}
        middles = {name: self.middle(name) for name in _MIDDLES}
        each = [{k: v for k, v in to_json(t).items() if k in _EACH} for t in self.timings]
        return {
            **common,
            "contender": self.contender,
            "workload_id": self.workload,
            "median_ns": self.median_ns,
            "verdict": self.verdict,
            "ratio": self.ratio,
            "message": self.message,
            **middles,
            "roof_ns": self.roof_ns,
            "fraction_of_roof": self.fraction,
            "impossible": self.impossible,
            "processes": each,
        }


#: A row that takes less than the roof's time over this is flagged: no memory is so fast, so it did not do the work, or
#: found its data in a cache that the roof has not met.
IMPOSSIBLE = 1.05
_COMMON = (
    "backend", "device", "pass", "shape", "dtype", "channel_axis", "workload", "regime", "scans", "conditions", "threads",
    "moved_bytes", "streaming_bytes", "clock",
)  # fmt: skip
_MIDDLES = (
    "import_ns", "first_ns", "compile_ns", "dispatch_ns", "page_faults_per_call", "peak_bytes", "device_ns", "pipelined_ns",
)  # fmt: skip
_EACH = (
    "process", "median_ns", "samples_ns", "calls_per_sample", "verdict", "ratio", "message", "probes", "kernels", *_MIDDLES,
)  # fmt: skip


def cells(timings: Iterable[Timing], ceiling: Ceiling | None = None) -> list[Cell]:
    """The cells, in the order in which they first appear; with their roofs, where the run has measured them."""
    grouped: dict[tuple[str, str], list[Timing]] = {}
    for t in timings:
        grouped.setdefault((workload_id(t), contender(t)), []).append(t)
    return [
        Cell(workload, name, tuple(sorted(found, key=lambda t: t.process)), _roofs(found, ceiling))
        for (workload, name), found in grouped.items()
    ]


def _roofs(timings: Iterable[Timing], ceiling: Ceiling | None) -> dict[int, float]:
    """The least time of each process, where it is known."""
    least = {t.process: ceiling.least_ns(t) for t in timings} if ceiling else {}
    return {process: ns for process, ns in least.items() if ns is not None}


def by_workload(listed: Iterable[Cell]) -> dict[str, list[Cell]]:
    """Cells by what was timed, in words, each list fastest first, the untimed last."""
    found: dict[str, list[Cell]] = {}
    for cell in listed:
        found.setdefault(title(cell.first), []).append(cell)
    for rows in found.values():
        rows.sort(key=lambda c: (c.median_ns is None, c.median_ns or math.inf, c.contender))
    return found


def title(timing: Timing) -> str:
    """What was timed, for a heading."""
    words = f"{timing.pass_name.replace('_', ' ')}, {' × '.join(map(str, timing.shape))} {timing.dtype}"
    regime = "" if timing.regime == "ordinary" else f", {timing.regime} values"
    return f"{words}, channels on axis {timing.channel_axis}{regime}"
