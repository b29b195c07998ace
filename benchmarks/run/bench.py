"""A benchmark run from a command's arguments to its run directory.

The process is the unit of replication. A round opens every contender once, in random order, each in a fresh process that is
stopped before the next one starts: two running at once would disturb each other. The process times every workload once, in
random order too. Comparisons are paired by round, since two contenders of one round share the state of the machine. Rounds
continue until the confidence intervals are as narrow as requested, or the time is over.

While a worker times, this process waits; it judges while the worker waits.
"""

from __future__ import annotations

import collections
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bnspec.backends.harness.interruption import check, resumable, stoppable
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.targets import targets_of
from bnspec.benchmarks.run.calibrate import kept
from bnspec.benchmarks.statistics.stopping import Precision
from bnspec.benchmarks.summary.comparisons import compared, precise
from bnspec.benchmarks.timing.bandwidth import COPY, measured_roofs, sizes_of
from bnspec.benchmarks.timing.case_cache import CaseCache
from bnspec.benchmarks.timing.conditions import Conditions
from bnspec.benchmarks.timing.contender import Contender, baseline_of, contenders_of
from bnspec.benchmarks.timing.measure import cell, measure, target_record
from bnspec.benchmarks.workloads.suites import workloads
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.reports.run.manifest import finished_now, new_manifest
from bnspec.reports.run.records import RunFinished, TargetFinished, Timing, workload_id
from bnspec.reports.run.records import contender as named
from bnspec.reports.run.resume import Begun, begun, resume_command
from bnspec.reports.run.store import Run, RunWriter, read_run
from bnspec.reports.summary.cells import cells
from bnspec.terminal.progress import Progress

BROKEN = ("error", "crashed", "timeout")


@dataclass(frozen=True)
class BenchRequest:
    """The arguments of ``bnspec bench``.

    Attributes:
        backends, devices, passes, models: globs; suite: one of ``SUITES``.
        conditions: each is timed; baseline: the contender that the others are compared with; empty for the first.
        seconds: for the samples of a workload in a process.
        least, most: rounds; minutes: no round begins later; None for no limit.
        resolution: relative half-width of the confidence intervals at which rounds end.
        margin: relative difference up to which two contenders are the same.
    """

    backends: Sequence[str] = ()
    devices: Sequence[str] = ()
    passes: Sequence[str] = ()
    models: Sequence[str] = ()
    suite: str = "short"
    conditions: Sequence[Conditions] = (Conditions(),)
    baseline: str = ""
    seconds: float = 0.15
    least: int = 3
    most: int = 10
    minutes: float | None = None
    resolution: float = 0.03
    margin: float = 0.05
    seed: int = 1
    out: Path | None = None
    resume: Path | None = None
    limits: Limits = field(default_factory=Limits)


#: The options that an interrupted run must share with the call that resumes it.
SAME = ("contenders", "baseline", "workloads", "seconds", "rounds", "resolution", "margin", "models")


def bench(request: BenchRequest, command: str, quiet: bool = False) -> tuple[Run, int]:
    """Run it; returns the run as read back, and the exit status.

    Raises UsageError: a backend, device, pass or folder that is wrong. Interrupted, it leaves a run directory that can be
    read and resumed.
    """
    with stoppable():
        return _bench(request, command, quiet)


def _bench(request: BenchRequest, command: str, quiet: bool) -> tuple[Run, int]:
    listed = workloads(request.suite, request.passes, request.models)
    contenders = contenders_of(targets_of(request.backends, request.devices), request.conditions, request.limits)
    baseline = baseline_of(contenders, request.baseline)
    options = {
        "contenders": [c.name for c in contenders],
        "baseline": baseline.name,
        "workloads": [w.id for w in listed],
        "seconds": request.seconds,
        "rounds": [request.least, request.most],
        "resolution": request.resolution,
        "margin": request.margin,
        "models": list(request.models),
        "limits": request.limits.to_json(),
        "calibration": kept(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    manifest = new_manifest("bench", command, request.seed, request.suite, options)
    run = begun(manifest, request.out, request.resume, SAME)
    resumable(resume_command(command, run.writer.path))
    with run.writer as writer, Progress(quiet) as progress:
        session = Session(request, writer, progress, contenders, listed)
        session.recall(run)
        session.rounds(baseline)
        session.report_ends()
        for comparison in compared(cells(session.timings), baseline.name, request.margin):
            writer.write(comparison)
        session.finish()
        status = exit_status(session.timings)
        check()
        writer.write(RunFinished(finished_now(), status, session.account()))
    return read_run(writer.path), status


def exit_status(timings: Sequence[Timing]) -> int:
    """0: what was timed conforms; 1: outputs deviate, a probe rejects a timing, or a supported call failed; 3: nothing was timed.

    The harness's own copies of memory are nothing that was asked for.
    """
    verdicts = {t.verdict for t in timings}
    if verdicts.intersection(("deviates", "rejected")):
        return DEVIATES
    if not any(t.samples_ns for t in timings if t.backend != COPY):
        return FAILED
    return DEVIATES if verdicts.intersection(BROKEN) else CONFORMS


def unit_of(timing: Timing) -> tuple[str | int, ...]:
    """The unit of the journal that a timing belongs to."""
    if timing.backend == COPY:
        return "memory", timing.device, timing.process
    return "process", named(timing), timing.process


class Account(msgspec.Struct):
    """Where the time of a run went, as a unit of its journal has it."""

    seconds: dict[str, float] = {}
    spent: dict[str, dict[str, float]] = {}


@dataclass
class Session:
    """The state of a run: the cases, which all contenders share, the timings so far, and where the time went."""

    request: BenchRequest
    writer: RunWriter
    progress: Progress
    contenders: Sequence[Contender]
    workloads: Sequence[Workload]
    timings: list[Timing] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: collections.defaultdict(float))
    spent: dict[str, dict[str, float]] = field(default_factory=dict)
    processes: dict[str, int] = field(default_factory=lambda: collections.defaultdict(int))
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.cases = CaseCache(self.request.seed)
        self.random = random.Random(self.request.seed)
        self.left = {c: list(self.workloads) for c in self.contenders}  # still timed in each round
        self.longest_round = 0.0
        self.done: set[tuple[str | int, ...]] = set()  # units of an interrupted run

    def recall(self, begun: Begun) -> None:
        """Take over what an interrupted run had: whole processes and measurements of memory, and where their time went."""
        if begun.run is None:
            return
        self.started -= begun.seconds_before
        accounts = begun.kept(Account)
        self.done = set(accounts)
        self.timings = [t for t in begun.run.timings if unit_of(t) in self.done]
        for contender in self.contenders:
            own = [t for t in self.timings if named(t) == contender.name]
            over = {workload_id(t) for t in own if not t.samples_ns}
            self.left[contender] = [w for w in self.left[contender] if w.id not in over]
            self.processes[contender.name] = len({t.process for t in own})
        for account in accounts.values():
            self.seconds.update(account.seconds)
            self.spent.update(account.spent)

    def finished(self, *unit: str | int) -> None:
        """Journal a unit, with the account of the run so far."""
        self.writer.done(*unit, seconds=dict(self.seconds), spent=self.spent)

    def rounds(self, baseline: Contender) -> None:
        """Round after round, until the intervals are narrow enough or the time is over."""
        least, most = self.request.least, self.request.most
        rule = Precision(
            self.request.resolution, max(least, 4), max(most, 4)
        )  # the pilot rounds' spread needs four rounds
        for number in range(most):
            begun, probes = time.perf_counter(), self.seconds["probes"]
            order = [c for c in self.contenders if self.left[c]]
            self.random.shuffle(order)
            self.roofs(number, order)
            fresh = [c for c in order if ("process", c.name, number) not in self.done]
            for contender in fresh:
                if number and self.late(self.longest_round / max(len(order), 1)):
                    return
                self.process(contender, number)
            # only the first round has probes: later ones are that much shorter
            probed = self.seconds["probes"] - probes
            if fresh:
                self.longest_round = max(self.longest_round, time.perf_counter() - begun - probed)
            if self.late(self.longest_round):
                return
            # of a run that goes on: what it knew after this round, so that it stops where it would have stopped
            timed = cells(t for t in self.timings if t.backend != COPY and t.process <= number)
            if number + 1 >= least and precise(timed, baseline.name, rule):
                return

    def late(self, more_seconds: float) -> bool:
        """Whether so many more seconds exceed the time limit."""
        limit = self.request.minutes
        return limit is not None and time.perf_counter() - self.started + more_seconds > 60.0 * limit

    def roofs(self, number: int, order: Sequence[Contender]) -> None:
        """Measure the memory of every device, through the first contender on it."""
        sizes = sizes_of(self.workloads)
        firsts = {c.target.device: c for c in reversed(order)}
        for device, contender in firsts.items():
            if ("memory", device, number) in self.done:
                continue
            self.progress.update(f"memory of {device}", f"round {number + 1}")
            for record in measured_roofs(device, contender, number, sizes, self.seconds):
                if isinstance(record, Timing):
                    self.timings.append(record)
                self.writer.write(record)
            self.finished("memory", device, number)

    def process(self, contender: Contender, number: int) -> None:
        """A fresh process of a contender: every workload it has left, once."""
        self.progress.update(contender.name, f"process {number + 1}, opening")
        opened = time.perf_counter()
        with contender.open() as worker:
            started = time.perf_counter()
            self.seconds["open"] += started - opened
            if number == 0:
                self.writer.write(target_record(worker))
            order = list(self.left[contender])
            self.random.shuffle(order)
            timed: list[tuple[Workload, Timing]] = []
            try:
                for done, workload in enumerate(order):
                    self.progress.update(contender.name, f"process {number + 1}, {workload.id}", done, len(order))
                    timed.append((workload, self.cell(worker, contender, workload, number)))
                if number == 0:
                    timed = [(workload, self.with_kernels(worker, workload, timing)) for workload, timing in timed]
            finally:  # what was timed is written, whatever ends the process
                for workload, timing in timed:
                    self.timings.append(timing)
                    self.writer.write(timing)
                    if not timing.samples_ns:
                        self.left[contender].remove(workload)
        spent = self.spent.setdefault(contender.target.name, {"open": 0.0, "cells": 0.0})
        self.processes[contender.name] += 1
        spent["open"] += started - opened
        spent["cells"] += time.perf_counter() - started
        self.finished("process", contender.name, number)

    def cell(self, worker: Worker, contender: Contender, workload: Workload, number: int) -> Timing:
        """One workload in one process."""
        if worker.hello.status != "ready":
            reason = f"{worker.hello.status}: {worker.hello.reason}"
            return cell(worker, workload, "unavailable", reason, contender.conditions.named, number)
        timed_case = self.cases.get(workload)
        options = {**contender.options, "seconds": self.request.seconds, "probes": number == 0}
        record, spent = measure(worker, timed_case, options, contender.conditions.named, number)
        self.seconds["judge"] += spent.judge_ns * 1e-9
        if spent.timing is not None:
            self.seconds["timed"] += spent.timing.timed_ns * 1e-9
            self.seconds["first_calls"] += spent.timing.first_ns * 1e-9
            self.seconds["probes"] += spent.timing.probes_ns * 1e-9
        return record

    def with_kernels(self, worker: Worker, workload: Workload, timing: Timing) -> Timing:
        """The timing with the kernels that its call runs: asked for when all is timed, since a profiler slows what follows."""
        if not timing.samples_ns:
            return timing
        begun = time.perf_counter()
        found = worker.kernels(self.cases.get(workload).case)
        self.seconds["probes"] += time.perf_counter() - begun
        return msgspec.structs.replace(timing, kernels=found)

    def report_ends(self) -> None:
        """Report the end of each contender, and of the memory's measurement, to the progress."""
        for device in dict.fromkeys(c.target.device for c in self.contenders):
            self.progress.end(f"memory of {device}", "done")
        for contender in self.contenders:
            self.progress.end(contender.name, f"done, {self.processes[contender.name]} processes")

    def finish(self) -> None:
        """Each target's counts and times."""
        for contender in {c.target.name: c for c in self.contenders}.values():
            target = contender.target
            own = [
                c
                for c in cells(self.timings)
                if (c.first.backend, c.first.device) == (target.entry.name, target.device)
            ]
            counts = dict(collections.Counter(str(c.verdict) for c in own))
            spent = self.spent.get(target.name, {})
            self.writer.write(TargetFinished(target.entry.name, target.device, counts, spent))

    def account(self) -> dict[str, float]:
        """Where the time went, in seconds."""
        return {"wall": time.perf_counter() - self.started, **self.seconds}
