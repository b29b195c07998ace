"""One workload in one process: timed by the worker, its outputs judged here, both in one record."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np

from bnspec.backends.harness.launcher import Worker
from bnspec.benchmarks.timing.judge_outputs import Judgement, TimedCase
from bnspec.benchmarks.workloads.traffic import minimal_bytes, streaming_bytes
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.timing import TimingResult
from bnspec.model.vocabulary import Status
from bnspec.reports.run.records import TargetRecord, Timing
from bnspec.reports.run.targets import opened_target
from bnspec.reports.run.vocabulary import Probe, TimingVerdict

Conditions = Mapping[str, str | int]
#: The probes that the judge makes; those of the worker stand in ``bnspec.backends.worker.probes``.
EVERY_OUTPUT: Probe = "computes_every_output"
DTYPE: Probe = "keeps_the_dtype"
#: The verdict of a cell without samples, by how its observed call ended.
ENDINGS: Mapping[Status, TimingVerdict] = {
    "declined": "declined", "error": "error", "crashed": "crashed", "timeout": "timeout", "not_run": "error",
}  # fmt: skip


class Spent(NamedTuple):
    """Where the time of one cell went: what the worker has timed, None where nothing, and nanoseconds of judging."""

    timing: TimingResult | None = None
    judge_ns: int = 0


def measure(
    worker: Worker,
    timed_case: TimedCase,
    options: Mapping[str, Any],
    conditions: Conditions | None = None,
    process: int = 0,
) -> tuple[Timing, Spent]:
    """Time a workload on a worker that is ready, and judge what was timed.

    Args:
        options: of ``bnspec.backends.worker.timing``: seconds, rounds, min_rounds, cache, mode, probes, seed.
        conditions: that the process runs under, for the record; process: which one of the run it is.
    Returns: the record, and where the time went.
    """
    conventions = worker.hello.conventions
    assert conventions is not None, "only a ready worker can be measured"
    patience = worker.limits.case_seconds + 20.0 * float(options.get("seconds", 0.0))
    timing, observation = worker.time(
        timed_case.case, {**options, "seed": process, "channels": timed_case.cut}, patience
    )
    result = observation.steps[0]
    if timing is None:
        return cell(worker, timed_case.workload, ENDINGS[result.status], result.message, conditions, process), Spent()
    begun = time.perf_counter_ns()
    with np.errstate(all="ignore"):
        judged, audited = judge(timed_case, observation, timing, conventions)
    spent = Spent(timing, time.perf_counter_ns() - begun)
    return _record(worker, timed_case, timing, (judged, audited), conditions, process), spent


def judge(
    timed_case: TimedCase, observation: Observation, timing: TimingResult, conventions: Conventions
) -> tuple[Judgement, Judgement | None]:
    """The verdicts of the observed call and, where there is one, of the audited sample."""
    observed, *audited = observation.steps
    judged = timed_case.observed(observed, timing.shapes[0], conventions)
    if not audited:
        return judged, None
    return judged, timed_case.audited(audited[0], observed.before, timing.shapes[1], conventions)


def _record(
    worker: Worker,
    timed_case: TimedCase,
    timing: TimingResult,
    judgements: tuple[Judgement, Judgement | None],
    conditions: Conditions | None,
    process: int,
) -> Timing:
    """What was timed and what was judged, as one record."""
    observed, audited = judgements
    probes = dict(timing.probes)
    if audited is not None and not math.isnan(audited.ratio):
        only_there = audited.ratio > 1.0 and not observed.ratio > 1.0
        probes[EVERY_OUTPUT] = f"in a timed call, {audited.message}; not in the observed call" if only_there else ""
    if "y" in timing.shapes[0]:
        probes[DTYPE] = observed.message if observed.kind == "dtype" else ""
    worst = max(
        (j for j in judgements if j is not None and not math.isnan(j.ratio)), key=lambda j: j.ratio, default=None
    )
    unjudged = next((j for j in judgements if j is not None and math.isnan(j.ratio)), None)
    rejections = [f"{name}: {message}" for name, message in probes.items() if message]
    verdict: TimingVerdict = "error" if worst is None or (unjudged and worst.ratio <= 1.0) else "conforms"
    if worst is not None and worst.ratio > 1.0:
        verdict = "deviates"
    if rejections:
        verdict = "rejected"
    messages = [*rejections, *(j.message for j in (worst, unjudged) if j is not None and j.message)]
    samples = timing.samples_ns
    return msgspec.structs.replace(
        cell(
            worker,
            timed_case.workload,
            "error",
            "; ".join([*messages, _circumstances(timed_case, timing, audited)]),
            conditions,
            process,
        ),
        verdict=verdict,
        samples_ns=samples,
        median_ns=float(np.median(samples)),
        threads=timing.threads,
        calls_per_sample=timing.calls_per_sample,
        first_ns=timing.first_ns,
        compile_ns=timing.compile_ns,
        dispatch_ns=timing.dispatch_ns,
        page_faults_per_call=timing.page_faults_per_call,
        peak_bytes=timing.peak_bytes,
        clock="host",
        clock_resolution_ns=timing.clock_resolution_ns,
        device_ns=timing.device_ns,
        device_resolution_ns=timing.device_resolution_ns,
        pipelined_ns=timing.pipelined_ns,
        device_state=dict(timing.device_state),
        ratio=None if worst is None else worst.ratio if math.isfinite(worst.ratio) else "inf",
        probes=probes,
    )


def _circumstances(timed_case: TimedCase, timing: TimingResult, audited: Judgement | None) -> str:
    """How the samples were taken, and which part of the outputs was judged."""
    of = timed_case.workload.elements // timed_case.workload.channels if timed_case.subject == "layer_norm" else None
    judged = (
        f"verified {'rows' if of else 'channels'} {len(timed_case.channels)} of {of or timed_case.workload.channels}"
    )
    if timed_case.subject == "network":
        judged = "verified the loss and every value"
    calls = "a timed call and the observed one" if audited is not None else "the observed call"
    return f"{judged}, of {calls}; {timing.warmup} calls of warm-up; overhead_ns {timing.overhead_ns:.0f}"


def cell(
    worker: Worker,
    workload: Workload,
    verdict: TimingVerdict,
    message: str = "",
    conditions: Conditions | None = None,
    process: int = 0,
) -> Timing:
    """A record without samples, for a workload that was not timed."""
    opened = worker.hello.details.get("open_seconds")
    return Timing(
        worker.entry.name,
        worker.device,
        workload.pass_name,
        workload.shape,
        workload.dtype,
        workload.channel_axis,
        (),
        None,
        None,
        None,
        msgspec.convert(verdict, TimingVerdict),
        None,
        message,
        workload=workload.name,
        regime=workload.regime,
        scans=workload.scans,
        conditions=dict(conditions or {}),
        process=process,
        import_ns=None if opened is None else round(float(opened) * 1e9),
        moved_bytes=minimal_bytes(workload),
        streaming_bytes=streaming_bytes(workload),
    )


def target_record(worker: Worker) -> TargetRecord:
    """What the worker reported when it opened, as a record."""
    return opened_target(worker.entry.name, worker.device, worker.hello)
