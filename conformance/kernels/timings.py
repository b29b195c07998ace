"""The times of a kernel's passes, each with the error of what was timed and with the probes' objections."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import Target
from bnspec.backends.worker.timing import FACTORS
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.conformance.conventions.laboratory import ratio, without_affine
from bnspec.errors import UsageError
from bnspec.model.call import INFERENCE, TRAINING, TRAINING_GRADIENTS, Call
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.timing import TimingResult
from bnspec.model.vocabulary import Status, TargetStatus
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.records import Timing
from bnspec.reports.run.vocabulary import Probe, TimingVerdict

PASSES: tuple[Call, ...] = (TRAINING, INFERENCE, TRAINING_GRADIENTS)
#: Extents of the timed batch by its rank, with 32 channels among them.
EXTENTS: Mapping[int, tuple[int, ...]] = {2: (512,), 3: (16, 98), 4: (16, 14, 14), 5: (8, 4, 7, 7)}
CHANNELS = 32
#: The same for what is interpreted or as slow, of which the time says little.
FEW = (2, 3, 2, 2)
#: Seconds of samples of one pass.
SECONDS = 0.3
#: A process whose own account of its time is so much shorter than the time that went by has another clock.
TIMES, SLACK_SECONDS = 4.0, 2.0
#: The verdict of a pass that was not timed, by how its call ended.
ENDINGS: Mapping[Status, TimingVerdict] = {
    "ok": "error", "not_run": "error", "error": "error", "declined": "declined", "crashed": "crashed", "timeout": "timeout",
}  # fmt: skip
#: The same of a process that did not open; of any other end, what it lacks is not the kernel's fault.
UNOPENED: Mapping[TargetStatus, TimingVerdict] = {"broken": "error", "malformed": "error", "crashed": "crashed", "timeout": "timeout"}  # fmt: skip
EVERY_OUTPUT: Probe = "computes_every_output"
CLOCK: Probe = "reads_the_systems_clock"


def timed(
    target: Target, limits: Limits, environment: Mapping[str, str], form: Form, epsilon: float | None, seed: int
) -> list[Timing]:
    """One record for each pass, of a process of its own; where the kernel does not open there, each says how that ended."""
    cases = [case_of(call, form, epsilon, seed) for call in PASSES]
    try:
        worker = Worker(target.entry, target.device, limits=limits, environment=environment)
    except UsageError as error:  # what it says is wrong with the kernel was not when it was judged
        return [record(target, case, "error", f"not opened: {error.what}") for case in cases]
    with worker:
        hello = worker.hello
        if hello.conventions is None or hello.status != "ready":
            how = UNOPENED.get(hello.status, "unavailable")
            return [record(target, case, how, f"not opened: {hello.reason}") for case in cases]
        timings: list[Timing] = []
        for case in cases:
            if timings and timings[-1].verdict == "timeout":
                timings.append(record(target, case, "timeout", "not timed, since another pass hangs"))
            else:
                timings.append(offered(worker, case, hello.conventions, seed))
        return timings


def offered(worker: Worker, case: Case, conventions: Conventions, seed: int) -> Timing:
    """The case with gamma and beta, or without where that is declined and may be left out."""
    timing = one(worker, case, conventions, seed)
    if timing.verdict != "declined" or not conventions.affine_optional:
        return timing
    bare = one(worker, without_affine(case), conventions, seed)
    return timing if bare.verdict == "declined" else bare


def case_of(call: Call, form: Form, epsilon: float | None, seed: int) -> Case:
    """The case that is timed."""
    plan = Plan(form, "wide", epsilon=2.0**-10 if epsilon is None else epsilon, decay=0.75, seed=seed, short=True)
    return batch_norm_case(plan).with_(steps=(Step(call, call.inputs, fresh=True),))


def usual_form(conventions: Conventions, slow: bool = False) -> Form:
    """The form that is timed where the kernel takes any: images, if it takes them; few elements of what is slow."""
    rank = next((r for r in (4, 2, 3, 5) if r in conventions.ranks), min(conventions.ranks))
    dtype = "float32" if "float32" in conventions.dtypes else conventions.dtypes[0]
    parameters = dtype if dtype in ("float32", "float64") or "input" in conventions.half_parameters else "float32"
    axis = 1 if conventions.offers_axis(rank, 1) else rank - 1
    shape = list(FEW[: rank - 1] if slow else EXTENTS.get(rank, (4,) * (rank - 1)))
    shape.insert(axis, 4 if slow else CHANNELS)
    return Form(tuple(shape), axis, dtype, parameters)


def one(worker: Worker, case: Case, conventions: Conventions, seed: int) -> Timing:
    """Time the case's call, and judge what was timed."""
    begun = time.perf_counter()
    timing, observation = worker.time(case, {"seconds": SECONDS, "probes": True, "seed": seed})
    elapsed = time.perf_counter() - begun
    result = observation.steps[0]
    if timing is None:
        return record(target_of(worker), case, ENDINGS[result.status], result.message)
    with np.errstate(all="ignore"):
        errors = judged(case, observation, conventions)
    objections = {n: m for n, m in timing.probes.items() if m}
    if errors.get("a timed call", 0.0) > 1.0 >= errors["the observed call"]:
        objections[EVERY_OUTPUT] = "a timed call was wrong, and the observed one was not"
    if clock := other_clock(timing, elapsed):
        objections[CLOCK] = clock
    worst = max(errors.values())
    verdict: TimingVerdict = "rejected" if objections else "deviates" if worst > 1.0 else "conforms"
    message = "; ".join(f"{n}: {m}" for n, m in objections.items())
    return record(target_of(worker), case, verdict, message, timing, worst)


def judged(case: Case, observation: Observation, conventions: Conventions) -> dict[str, float]:
    """The worst error / bound of the observed call and, where there is one, of a timed call drawn at random."""
    observed, *audited = observation.steps
    step = case.steps[-1]
    expected = Oracle(case).expect(step, observed.before, conventions)
    results = {**observed.outputs, **observed.after}
    errors = {"the observed call": ratio(results, expected, tuple(expected), "lenient")}
    for result in audited:
        scaled = case.with_(arrays={n: times(a, FACTORS[0]) if n in step.inputs else a for n, a in case.arrays.items()})
        expected = Oracle(scaled).expect(step, observed.before, conventions)
        names = tuple(n for n in expected if not n.startswith("running_"))
        errors["a timed call"] = ratio(result.outputs, expected, names, "lenient")
    return errors


def times(array: np.ndarray, factor: float) -> np.ndarray:
    """The array multiplied, in its dtype."""
    return np.asarray((array * array.dtype.type(factor)).astype(array.dtype))


def other_clock(timing: TimingResult, elapsed: float) -> str:
    """What is wrong with the process's account of its time; "" where nothing is."""
    own = 1e-9 * (timing.timed_ns + timing.first_ns + timing.probes_ns)
    if elapsed <= TIMES * own + SLACK_SECONDS:
        return ""
    return f"by the process's clock {own:.2g} s went by, by ours {elapsed:.2g} s"


def target_of(worker: Worker) -> Target:
    """What a worker runs."""
    return Target(worker.entry, worker.device)


def record(
    target: Target,
    case: Case,
    verdict: TimingVerdict,
    message: str = "",
    timing: TimingResult | None = None,
    worst: float | None = None,
) -> Timing:
    """The record of a pass; without samples where it was not timed."""
    config, call = case.config, case.steps[-1].call
    place = (target.entry.name, target.device, call.name, case.arrays["x"].shape, config.dtype, config.channel_axis)
    if timing is None or worst is None:
        return Timing(*place, (), None, None, None, verdict, None, message, workload="judged")
    more: dict[str, Any] = {"calls_per_sample": timing.calls_per_sample, "probes": dict(timing.probes)}
    shown = worst if math.isfinite(worst) else "inf"
    found = Timing(
        *place,
        timing.samples_ns,
        float(np.median(timing.samples_ns)),
        timing.first_ns,
        timing.threads,
        verdict,
        shown,
        message,
    )
    return msgspec.structs.replace(found, workload="judged", dispatch_ns=timing.dispatch_ns, **more)
