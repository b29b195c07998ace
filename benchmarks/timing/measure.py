"""One workload in one process: timed by the worker, its outputs judged here, both in one record."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from bnspec.backends.harness.launcher import CASE_SECONDS, Worker
from bnspec.benchmarks.timing.output_verdicts import Judgement, Prepared
from bnspec.benchmarks.workloads.traffic import minimal_bytes, streaming_bytes
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.reports.run.records import TargetRecord, Timing
from bnspec.reports.run.vocabulary import TargetStatus, TimingVerdict

Conditions = Mapping[str, str | int]
#: The probes that the judge makes; those of the worker stand in ``bnspec.backends.worker.probes``.
EVERY_OUTPUT, DTYPE = "computes_every_output", "keeps_the_dtype"
COUNTED = ("import_ns", "first_ns", "compile_ns", "dispatch_ns", "page_faults_per_call", "peak_bytes", "kernels")


def measure(
    worker: Worker,
    prepared: Prepared,
    options: Mapping[str, Any],
    conditions: Conditions | None = None,
    process: int = 0,
) -> tuple[Timing, dict[str, Any]]:
    """Time a workload on a worker that is ready, and judge what was timed.

    Args:
        options: of ``bnspec.backends.worker.timing``: seconds, rounds, min_rounds, cache, mode, probes, seed.
        conditions: that the process runs under, for the record; process: which one of the run it is.
    Returns: the record, and what the worker told besides, with ``judge_ns``.
    """
    conventions = worker.hello.conventions
    assert conventions is not None, "only a ready worker is measured on"
    patience = CASE_SECONDS + 20.0 * float(options.get("seconds", 0.0))
    told, observation = worker.time(prepared.case, {**options, "seed": process, "channels": prepared.cut}, patience)
    result = observation.steps[0]
    if result.status != "ok":
        verdict = result.status if result.status != "not_run" else "error"
        return cell(worker, prepared.workload, verdict, result.message, conditions, process), {}
    begun = time.perf_counter_ns()
    with np.errstate(all="ignore"):
        judged, witness = judge(prepared, observation, told, conventions)
    told["judge_ns"] = time.perf_counter_ns() - begun
    return _record(worker, prepared, told, (judged, witness), conditions, process), told


def judge(
    prepared: Prepared, observation: Observation, told: Mapping[str, Any], conventions: Conventions
) -> tuple[Judgement, Judgement | None]:
    """The observed call, and the witness where there is one."""
    shapes = [{n: tuple(s) for n, s in each.items()} for each in told["shapes"]]
    observed, *timed = observation.steps
    judged = prepared.observed(observed, shapes[0], conventions)
    if not timed:
        return judged, None
    return judged, prepared.witness(timed[0], observed.before, shapes[1], conventions)


def _record(
    worker: Worker,
    prepared: Prepared,
    told: Mapping[str, Any],
    judgements: tuple[Judgement, Judgement | None],
    conditions: Conditions | None,
    process: int,
) -> Timing:
    """What was timed and what was judged, as one record."""
    observed, witness = judgements
    probes = dict(told["probes"])
    if witness is not None and not math.isnan(witness.ratio):
        only_there = witness.ratio > 1.0 and not observed.ratio > 1.0
        probes[EVERY_OUTPUT] = f"of a timed call, {witness.message}; of the observed one not" if only_there else ""
    if "y" in told["shapes"][0]:
        probes[DTYPE] = observed.message if observed.kind == "dtype" else ""
    worst = max(
        (j for j in judgements if j is not None and not math.isnan(j.ratio)), key=lambda j: j.ratio, default=None
    )
    unjudged = next((j for j in judgements if j is not None and math.isnan(j.ratio)), None)
    objections = [f"{name}: {said}" for name, said in probes.items() if said]
    verdict = "error" if worst is None or (unjudged and worst.ratio <= 1.0) else "conforms"
    if worst is not None and worst.ratio > 1.0:
        verdict = "deviates"
    if objections:
        verdict = "rejected"
    said = [*objections, *(j.message for j in (worst, unjudged) if j is not None and j.message)]
    samples = tuple(told["samples_ns"])
    return msgspec.structs.replace(
        cell(
            worker,
            prepared.workload,
            "error",
            "; ".join([*said, _circumstances(prepared, told, witness)]),
            conditions,
            process,
        ),
        verdict=verdict,
        samples_ns=samples,
        median_ns=float(np.median(samples)),
        threads=told["threads"],
        calls_per_sample=told["calls_per_sample"],
        ratio=None if worst is None else worst.ratio if math.isfinite(worst.ratio) else "inf",
        probes=probes,
        **{name: told[name] for name in COUNTED if name in told},
    )


def _circumstances(prepared: Prepared, told: Mapping[str, Any], witness: Judgement | None) -> str:
    """How the samples came about, and what of them was judged."""
    of = prepared.workload.elements // prepared.workload.channels if prepared.subject == "layer_norm" else None
    judged = f"verified {'rows' if of else 'channels'} {len(prepared.channels)} of {of or prepared.workload.channels}"
    if prepared.subject == "network":
        judged = "verified the loss and every value"
    calls = "a timed call and the observed one" if witness is not None else "the observed call"
    return f"{judged}, of {calls}; {told['warmup']} calls of warm-up; overhead_ns {told['overhead_ns']:.0f}"


def cell(
    worker: Worker,
    workload: Workload,
    verdict: str,
    message: str = "",
    conditions: Conditions | None = None,
    process: int = 0,
) -> Timing:
    """A record without samples: of what was not timed."""
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
    """What the worker said when it opened, as a record."""
    hello = worker.hello
    return TargetRecord(
        worker.entry.name,
        worker.device,
        msgspec.convert(hello.status, TargetStatus),
        hello.reason,
        str(hello.details.get("framework", "")),
        dict(hello.versions),
        hello.conventions.to_json() if hello.conventions else {},
    )
