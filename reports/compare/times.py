"""Times that changed: of each workload, with the NumPy row of the same run as the control that must not move.

    moved      q <= RATE, and the ratio is outside the margin
    real       the time relative to the control moved; in one run, whose processes are paired by round, the time itself
    machine    the time moved, but not relative to the control; or it moved between two runs that have no control
    noise      the ratio is outside the margin, and the processes do not tell it from none

Rates of false discoveries are controlled over all workloads and targets of a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import false_discovery_control

from bnspec.model.names import base_of
from bnspec.reports.compare.bits import other_machine
from bnspec.reports.compare.change import Change, Compared, Coverage, Excluded, Movement
from bnspec.reports.compare.operands import Pair
from bnspec.reports.run.store import Run
from bnspec.reports.statistics.paired import Paired, paired
from bnspec.reports.statistics.unpaired import Unpaired, unpaired
from bnspec.reports.summary.cells import Cell, cells
from bnspec.reports.summary.counts import time_text

#: The rate of false discoveries, and the largest change that counts as none.
RATE, MARGIN = 0.05, 0.05
#: The base name of the control.
CONTROL = "numpy"
#: Of a cell: its workload, and the conditions in which it was timed.
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Timed:
    """One workload on both sides.

    Attributes:
        before, after: medians over processes, in ns.
        raw: the time after over the time before; relative: the same over the control's, None where there is no control.
        one_run: whether the processes of both sides took turns in one run.
    """

    workload: str
    before: float
    after: float
    raw: Paired | Unpaired
    relative: Unpaired | None
    one_run: bool

    @property
    def said(self) -> Paired | Unpaired:
        """The estimate that the change is told by."""
        return self.raw if self.relative is None else self.relative


def timed_pairs(pair: Pair) -> tuple[list[Timed], Compared]:
    """The workloads that both sides timed, with results that conform; and what was left out."""
    one, other = pair.before[0], pair.after[0]
    sides = [_cells(run, place.backend, place.device) for run, place in pair]
    if not any(sides):
        return [], Compared()
    before, after = sides
    common = [k for k in after if k in before]
    if why := other_machine(one, other):
        return [], Compared((), (), (Excluded("time", len(common), why),))
    right = [k for k in common if before[k].verdict == after[k].verdict == "conforms"]
    controls = [{} if place.base.backend == CONTROL else _cells(run, None, "cpu") for run, place in pair]
    first, last = controls
    if one.path == other.path:
        found = [_in_one_run(before[k], after[k]) for k in right]
    else:
        found = [_in_two_runs(before[k], after[k], first.get(k), last.get(k)) for k in right]
    coverage = Coverage(
        "time", "workloads", len(right), len(before.keys() - after.keys()), len(after.keys() - before.keys())
    )
    wrong = len(common) - len(right)
    excluded = (Excluded("time", wrong, "the timed results do not conform on both sides"),) if wrong else ()
    return [t for t in found if t is not None], Compared((), (coverage,), excluded)


def _cells(run: Run, backend: str | None, device: str) -> dict[Key, Cell]:
    """The cells of a backend, or of the control where it is None."""
    wanted = [
        t
        for t in run.timings
        if t.device == device and (base_of(t.backend) == CONTROL if backend is None else t.backend == backend)
    ]
    found: dict[Key, Cell] = {}
    for cell in cells(wanted):
        conditions = tuple(sorted((k, str(v)) for k, v in cell.first.conditions.items()))
        found.setdefault((cell.workload, conditions), cell)
    return found


def _in_one_run(before: Cell, after: Cell) -> Timed | None:
    """Processes of one run, paired by round: the machine's hour is that of both."""
    a, b = before.medians_ns, after.medians_ns
    rounds = sorted(a.keys() & b.keys())
    if before.median_ns is None or after.median_ns is None or not _positive(a, b):
        return None
    estimate = paired([a[r] for r in rounds], [b[r] for r in rounds])
    return Timed(after.workload, before.median_ns, after.median_ns, estimate, None, True)


def _in_two_runs(before: Cell, after: Cell, control: Cell | None, later: Cell | None) -> Timed | None:
    """Processes of two runs, alone and relative to the control of each run."""
    a, b = before.medians_ns, after.medians_ns
    if before.median_ns is None or after.median_ns is None or not _positive(a, b):
        return None
    clock = math.hypot(1.0 / before.median_ns, 1.0 / after.median_ns) / math.sqrt(12.0)
    raw = unpaired(_logs(a.values()), _logs(b.values()), clock)
    one, other = _relative(before, control), _relative(after, later)
    relative = unpaired(one, other, clock) if one and other else None
    return Timed(after.workload, before.median_ns, after.median_ns, raw, relative, False)


def _positive(*medians: Mapping[int, float]) -> bool:
    """Whether all times are above 0: their logarithms are compared."""
    return all(t > 0 for times in medians for t in times.values())


def _logs(times: Iterable[float]) -> list[float]:
    return [math.log(t) for t in times]


def _relative(cell: Cell, control: Cell | None) -> list[float]:
    """The logarithms of the time over the control's, by round."""
    if control is None or control.verdict != "conforms":
        return []
    own, of = cell.medians_ns, control.medians_ns
    return [math.log(own[r] / of[r]) for r in sorted(own.keys() & of.keys()) if of[r] > 0]


def movements(timed: Mapping[str, Sequence[Timed]]) -> dict[str, tuple[Change, ...]]:
    """The changes of all pairs, by pair; what stayed within the margin is none."""
    flat = [(name, t) for name, listed in timed.items() for t in listed]
    if not flat:
        return dict.fromkeys(timed, ())
    q_said = false_discovery_control([t.said.p for _, t in flat]).tolist()
    q_raw = false_discovery_control([t.raw.p for _, t in flat]).tolist()
    found: dict[str, list[Change]] = {name: [] for name in timed}
    for (name, t), q, other in zip(flat, q_said, q_raw, strict=True):
        if (movement := _movement(t, q, other)) is not None:
            found[name].append(_change(t, movement, q))
    return {name: tuple(listed) for name, listed in found.items()}


def _movement(t: Timed, q: float, q_raw: float) -> Movement | None:
    controlled = t.one_run or t.relative is not None
    if _outside(t.said.ratio) and q <= RATE:
        return "real" if controlled else "machine"
    if _outside(t.raw.ratio) and q_raw <= RATE:
        return "machine"
    return "noise" if _outside(t.said.ratio) or _outside(t.raw.ratio) else None


def _outside(ratio: float) -> bool:
    return not 1.0 / (1.0 + MARGIN) <= ratio <= 1.0 + MARGIN


def _change(t: Timed, movement: Movement, q: float) -> Change:
    ratio = t.said.ratio
    slower = ratio > 1.0
    return Change(
        kind="time",
        what=t.workload,
        direction="change" if movement != "real" else "regression" if slower else "repair",
        before=time_text(t.before),
        after=time_text(t.after),
        ratio_after=ratio if math.isfinite(ratio) else "inf",
        movement=movement,
        low=t.said.low if t.said.pairs > 1 else None,
        high=t.said.high if math.isfinite(t.said.high) else None,
        q=q,
        message=_why(t, movement),
    )


def _why(t: Timed, movement: Movement) -> str:
    if movement == "machine":
        if t.relative is None:
            return "another run, and no control in both: the machine may have moved"
        return f"{t.raw.ratio:.3g} times as long, and {t.relative.ratio:.3g} times relative to {CONTROL}"
    if movement == "noise" and t.said.pairs < 2:
        return "fewer than two processes on a side: nothing can be told"
    return ""
