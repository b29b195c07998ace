"""One cell of a benchmark: the workload timed by the worker, and the outputs of the last timed call judged here.

The oracle is exact and therefore slow, so of a large workload a subset of the channels is judged: batch normalization
treats each channel by itself, and a case cut down to some channels is the same mathematics with the same bounds. The
first and the last channel are always among them, the others lie evenly between; the record's message says how many were
judged. Shapes are looked at in full.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from bnspec.backends.launcher import CASE_SECONDS, Worker
from bnspec.benchmarks.workloads import Workload
from bnspec.bounds import Tier
from bnspec.case import Case
from bnspec.comparison import ratios_of
from bnspec.observation import StepResult
from bnspec.oracle import Expected, Oracle
from bnspec.profiles import Profile
from bnspec.reports.records import TargetRecord, Timing

#: Elements of x that the oracle is asked for, about; and the fewest channels.
JUDGED_ELEMENTS, JUDGED_CHANNELS = 2**15, 4
#: An output is judged by the widest bound that says anything of it: "lenient", which no textbook formula breaks, and
#: where that is infinite (half precision, many elements) "permissive", which no order of summation breaks.
TIERS_OF_JUDGEMENT: tuple[Tier, ...] = ("lenient", "permissive")
Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The worst error / bound over all outputs (NaN: nothing could be judged), and what is wrong when it exceeds 1."""

    ratio: float
    message: str = ""


class Prepared:
    """A workload's case, and the oracle of its judged channels: made once, shared by all backends.

    Attributes:
        workload, case: what is timed.
        channels: indices of the judged channels.
        oracle: of the case cut down to them.
    """

    def __init__(self, workload: Workload, seed: int = 0) -> None:
        self.workload, self.case = workload, workload.case(seed)
        self.channels = judged_channels(workload.channels, self.case.count)
        self.oracle = Oracle(cut(self.case, self.channels))

    def judge(self, result: StepResult, profile: Profile) -> Judgement:
        """Compare every output, and the state after the call, with the oracle's answer to the state before it."""
        if result.written:
            return Judgement(math.inf, "the timed call wrote into " + ", ".join(result.written))
        if any(a.shape != (self.workload.channels,) for a in (*result.before.values(), *result.after.values())):
            return Judgement(math.inf, "the running statistics are not one value per channel")
        before = self.cut_arrays(result.before)
        expected = self.oracle.expect(self.oracle.case.steps[-1], before, profile)
        got = {**result.outputs, **{n: result.after[n] for n in expected if n in result.after}}
        return max(
            (self.compare(n, e, got) for n, e in expected.items()),
            key=_weight,
            default=Judgement(math.nan, "there are no outputs"),
        )

    def compare(self, name: str, expected: Expected, got: Arrays) -> Judgement:
        """One output."""
        if name not in got:
            return Judgement(math.inf, f"{name} is missing")
        wanted = self.workload.shape if expected.value.ndim > 1 else (self.workload.channels,)
        if got[name].shape != wanted:
            return Judgement(math.inf, f"{name} has shape {got[name].shape}, expected {wanted}")
        for tier in TIERS_OF_JUDGEMENT:
            ratios = ratios_of(self.cut_arrays({name: got[name]})[name], expected, tier)
            if not np.isnan(ratios).all():
                worst = float(np.nanmax(ratios))
                return Judgement(worst, "" if worst <= 1.0 else f"{name} is off: {worst:.3g} times its {tier} bound")
        return Judgement(math.nan, f"{name} cannot be judged: its bounds are infinite")

    def cut_arrays(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """The judged channels of arrays shaped like x or of shape (C,)."""
        return _cut(arrays, self.channels, self.workload.channel_axis)


def judged_channels(channels: int, count: int) -> np.ndarray:
    """Which of the channels, of ``count`` elements each, are judged: first, last, and some evenly between."""
    wanted = max(JUDGED_CHANNELS, JUDGED_ELEMENTS // max(count, 1))
    if wanted >= channels:
        return np.arange(channels)
    return np.unique(np.linspace(0, channels - 1, wanted).round().astype(int))


def cut(case: Case, channels: np.ndarray) -> Case:
    """The case of these channels alone."""
    config = dataclasses.replace(case.config, channels=len(channels))
    return case.with_(config=config, arrays=_cut(case.arrays, channels, case.config.channel_axis))


def _cut(arrays: Arrays, channels: np.ndarray, axis: int) -> dict[str, np.ndarray]:
    return {name: np.take(a, channels, axis if a.ndim > 1 else 0) for name, a in arrays.items()}


def _weight(judgement: Judgement) -> tuple[int, float]:
    """What deviates weighs most, then what cannot be judged: a cell conforms only when every output does."""
    if math.isnan(judgement.ratio):
        return 1, 0.0
    return (2 if judgement.ratio > 1.0 else 0), judgement.ratio


def measure(worker: Worker, prepared: Prepared, seconds: float, **options: float) -> tuple[Timing, dict[str, Any]]:
    """Time a workload on a worker that is ready, and judge the last timed call.

    Args:
        seconds: to spend on timed calls; options: "rounds", "min_rounds" of ``bnspec.backends.timing``.
    Returns: the record, and what the worker told besides (overhead_ns, page_faults_per_call, warmup, ...).
    """
    profile = worker.hello.profile
    assert profile is not None, "only a ready worker is measured on"
    patience = CASE_SECONDS + 10.0 * seconds
    timing, observation = worker.time(prepared.case, {"seconds": seconds, **options}, patience)
    (result,) = observation.steps
    if result.status != "ok":
        verdict = result.status if result.status != "not_run" else "error"
        return cell(worker.entry.name, worker.device, prepared.workload, verdict, message=result.message), {}
    with np.errstate(all="ignore"):
        judgement = prepared.judge(result, profile)
    samples = tuple(timing["samples_ns"])
    judged = not math.isnan(judgement.ratio)
    verdict = ("conforms" if judgement.ratio <= 1.0 else "deviates") if judged else "error"
    notes = [judgement.message, f"verified_channels {len(prepared.channels)} of {prepared.workload.channels}"]
    record = dataclasses.replace(
        cell(worker.entry.name, worker.device, prepared.workload, verdict),
        samples_ns=samples,
        median_ns=float(np.median(samples)),
        first_ns=timing["first_ns"],
        threads=timing["threads"],
        ratio=(judgement.ratio if math.isfinite(judgement.ratio) else "inf") if judged else None,
        message="; ".join(n for n in [*notes, *_circumstances(timing)] if n),
    )
    return record, timing


def _circumstances(timing: Mapping[str, Any]) -> list[str]:
    """How the samples came about, as far as it explains them."""
    said = [f"{timing['warmup']} calls of warm-up", f"overhead_ns {timing['overhead_ns']:.0f}"]
    faults = timing["page_faults_per_call"]
    return said if faults is None else [*said, f"page_faults_per_call {faults:.1f}"]


def cell(backend: str, device: str, workload: Workload, verdict: str, message: str = "") -> Timing:
    """A record without samples: of what was not timed."""
    return Timing(
        backend,
        device,
        workload.pass_name,
        workload.shape,
        workload.dtype,
        workload.channel_axis,
        (),
        None,
        None,
        None,
        verdict,
        None,
        message,
    )


def target_record(worker: Worker) -> TargetRecord:
    """What the worker said when it opened, as a record."""
    hello = worker.hello
    return TargetRecord(
        worker.entry.name,
        worker.device,
        hello.status,
        hello.reason,
        str(hello.details.get("framework", "")),
        dict(hello.versions),
        hello.profile.to_json() if hello.profile else {},
    )
