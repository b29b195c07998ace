"""Faults in a worker: each costs at most its case, and the next case has the right bits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bnspec.backends.harness import keeper
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.process import RUN
from bnspec.backends.harness.registry import Entry
from bnspec.conformance.selftest.faults.adapters import FAULT, FAULTS, MARK
from bnspec.conformance.selftest.faults.injection import Injection
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.layer import LayerConfig
from bnspec.model.observation import Observation

ENTRY = Entry("faulty", "bnspec.conformance.selftest.faults.adapters:Faulty")
LIMITS = Limits(case_seconds=3.0, memory_gib=0.25, output_mib=8.0)
#: How the case of a fault must end, where not "crashed".
ENDS = {
    "an exception whose text raises": "ok",  # of the case; its step is an error
    "a hang": "timeout",
    "a stopped process": "timeout",
    "a part of an exabyte": "crashed",
    "processes left behind": "ok",
    "SIGKILL in a case, from outside": "ok",
    "SIGTERM in a case, from outside": "ok",
}


def case() -> Case:
    """Two training steps of a small layer."""
    x = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    arrays = {"x": x, "gamma": np.ones(3, np.float32), "beta": np.zeros(3, np.float32)}
    arrays |= {"running_mean": np.zeros(3, np.float32), "running_var": np.ones(3, np.float32)}
    config = LayerConfig(2, 1, 3, 2.0**-10, 0.75, "float32", "float32")
    return Case("batch_norm", config, arrays, (Step(TRAINING, ("x",)), Step(TRAINING, ("x",))))


def bits(observation: Observation) -> bytes:
    """The outputs of every step that has some."""
    return b"".join(s.outputs["y"].tobytes() for s in observation.steps if "y" in s.outputs)


def in_a_case(folder: Path, times: int) -> Iterator[Injection]:
    """Each fault of the adapter, so many times."""
    asked = case()
    with Worker(ENTRY, "cpu", limits=LIMITS) as worker:
        right = bits(worker.run(asked))
    for fault in FAULTS:
        for number in range(times if fault not in ("a hang", "a stopped process") else max(1, times // 3)):
            mark = folder / f"{fault} {number}".replace(" ", "-")
            with Worker(ENTRY, "cpu", limits=LIMITS, environment={FAULT: fault, MARK: str(mark)}) as worker:
                began = time.monotonic()
                first, delay = worker.run(asked), time.monotonic() - began
                second = worker.run(asked)
            left = keeper.marked(f"{RUN}-")
            as_expected = first.status == ENDS.get(fault, "crashed")
            if fault == "an exception whose text raises":
                as_expected = first.steps[0].status == "error"
            survived = as_expected and bits(second) == right and not left
            yield Injection(fault, survived, int(second.status != "ok"), delay, mark.exists())


def between_cases(times: int) -> Iterator[Injection]:
    """A worker killed from outside while it waits."""
    asked = case()
    with Worker(ENTRY, "cpu", limits=LIMITS) as worker:
        right = bits(worker.run(asked))
        for number in range(times):
            assert worker.pid is not None
            os.kill(worker.pid, (signal.SIGKILL, signal.SIGTERM)[number % 2])
            began = time.monotonic()
            observed = worker.run(asked)
            lost = int(observed.status != "ok")
            yield Injection("a worker killed between cases", bits(observed) == right, lost, time.monotonic() - began)
