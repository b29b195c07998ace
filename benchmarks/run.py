"""A benchmark run from a command's arguments to its run directory.

Targets run one after the other, each in a worker of its own that is stopped before the next one starts: two that are
timed side by side would time each other. While a worker times, this process waits; it judges while the worker waits.
"""

from __future__ import annotations

import collections
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from bnspec.backends.launcher import Worker
from bnspec.backends.targets import Target, targets_of
from bnspec.benchmarks.measure import Prepared, cell, measure, target_record
from bnspec.benchmarks.workloads import Workload, workloads
from bnspec.cli import CONFORMS, DEVIATES, FAILED
from bnspec.reports.manifest import finished_now, new_manifest
from bnspec.reports.records import RunFinished, TargetFinished, Timing
from bnspec.reports.store import Run, RunWriter, read_run

BROKEN = ("error", "crashed", "timeout")


@dataclass(frozen=True)
class Request:
    """What ``bnspec bench`` was asked for; ``profile`` names one of ``PROFILES``, ``seconds`` are for each cell."""

    backends: Sequence[str] = ()
    devices: Sequence[str] = ()
    passes: Sequence[str] = ()
    profile: str = "quick"
    seconds: float = 0.15
    seed: int = 1
    out: Path | None = None


def bench(request: Request, command: str, quiet: bool = False) -> tuple[Run, int]:
    """Run it; returns the run as read back, and the exit status.

    Raises UsageError: a backend, device, pass or folder that is wrong. Interrupted, it leaves a readable run directory.
    """
    listed = workloads(request.profile, request.passes)
    targets = targets_of(request.backends, request.devices)
    options = {
        "targets": [t.name for t in targets],
        "workloads": [w.id for w in listed],
        "seconds": request.seconds,
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }
    manifest = new_manifest("bench", command, request.seed, request.profile, options)
    started = time.perf_counter()
    with RunWriter.create(request.out, manifest) as writer:
        session = Session(request, writer, Progress(None if quiet else sys.stderr, len(targets) * len(listed)))
        timings = [t for target in targets for t in session.target(target, listed)]
        status = exit_status(timings)
        seconds = {"wall": time.perf_counter() - started, **session.seconds}
        writer.write(RunFinished(finished_now(), status, seconds))
    session.progress.end()
    return read_run(writer.path), status


def exit_status(timings: Sequence[Timing]) -> int:
    """0: what was timed conforms; 1: outputs deviate, or a call that is offered failed; 3: nothing could be timed."""
    verdicts = {t.verdict for t in timings}
    if "deviates" in verdicts:
        return DEVIATES
    if not any(t.samples_ns for t in timings):
        return FAILED
    return DEVIATES if verdicts.intersection(BROKEN) else CONFORMS


@dataclass
class Session:
    """What lives through a run: the prepared workloads, which all targets share, and the account of the time."""

    request: Request
    writer: RunWriter
    progress: Progress
    seconds: collections.Counter[str] = field(default_factory=collections.Counter)
    _prepared: dict[Workload, Prepared] = field(default_factory=dict)

    def target(self, target: Target, listed: Sequence[Workload]) -> list[Timing]:
        """Open the target, time every workload, write everything."""
        self.progress(target.name, "opening")
        opened = time.perf_counter()
        with Worker(target.entry, target.device) as worker:
            started = time.perf_counter()
            self.writer.write(target_record(worker))
            timings = []
            for workload in listed:
                self.progress(target.name, workload.id, cells=1)
                timings.append(self.cell(worker, workload))
                self.writer.write(timings[-1])
        spent = {"open": started - opened, "cells": time.perf_counter() - started}
        self.seconds.update(spent)
        counts = collections.Counter(t.verdict for t in timings)
        self.writer.write(TargetFinished(target.entry.name, target.device, dict(counts), spent))
        self.progress(target.name, "done")
        return timings

    def cell(self, worker: Worker, workload: Workload) -> Timing:
        """One workload on one worker."""
        hello = worker.hello
        if hello.status != "ready":
            reason = f"{hello.status}: {hello.reason}"
            return cell(worker.entry.name, worker.device, workload, "unavailable", reason)
        if workload not in self._prepared:
            self._prepared[workload] = Prepared(workload, self.request.seed)
        return measure(worker, self._prepared[workload], self.request.seconds)[0]


class Progress:
    """One line that is rewritten on a terminal; elsewhere a line when a target starts and ends."""

    def __init__(self, stream: TextIO | None, cells: int) -> None:
        self._stream, self._cells, self._begun = stream, cells, 0
        self._live = stream is not None and stream.isatty()

    def __call__(self, target: str, doing: str, cells: int = 0) -> None:
        """Say what a target is doing; ``cells`` more have begun."""
        self._begun += cells
        if self._stream is None:
            return
        if self._live:
            self._stream.write(f"\r\x1b[K{f'{self._begun}/{self._cells}  {target}  {doing}':.118}")
        elif not cells:
            self._stream.write(f"{target}: {doing}\n")
        self._stream.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._live and self._stream is not None:
            self._stream.write("\r\x1b[K")
