"""The cost of the oracle, measured in a fresh process on one core. ``make oracle`` (marker ``slow``) prints the figures.

Time is the processor's, not the wall's, and the least of several: other work on the machine is not the oracle's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

#: What is promised: seconds and bytes of the large case, milliseconds of each small one.
LARGE, SECONDS, BYTES = (32, 64, 56, 56), 8.0, 2 * 10**9
SMALL, MILLISECONDS = ((4, 3, 5), (16, 8, 32), (64, 64), (1024, 4), (4, 1024)), 10.0

PROGRAM = """
import json, resource, sys, time
from bnspec.model.call import CALLS
from bnspec.model.case import Step
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.oracle import Oracle
from bnspec.model.conventions import Conventions

def spent(shape, calls, seed):
    case = batch_norm_case(Plan(Form(tuple(shape), 1), "ordinary", epsilon=1e-5, seed=seed))
    oracle, conventions, start = Oracle(case), Conventions(running_correction=1), time.process_time()
    for call in calls:
        oracle.expect(Step(CALLS[call], ("x", "dy")), case.arrays, conventions)
    return time.process_time() - start

shape, calls, times = json.loads(sys.argv[1])
print(json.dumps([sorted(spent(shape, calls, s) for s in range(times)), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def measured(shape: tuple[int, ...], calls: tuple[str, ...], times: int) -> tuple[list[float], int]:
    """Processor seconds of each time, ascending, and the peak of memory in bytes (Linux counts it in KiB)."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps([shape, calls, times])]
    pin: Any = (lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})) if sys.platform == "linux" else None
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, preexec_fn=pin)
    seconds, peak = json.loads(said.stdout)
    return seconds, peak * 1024


@pytest.mark.slow
def test_a_large_training_step_keeps_its_promise(record_property: Any) -> None:
    """Forward and backward, values and bounds."""
    (seconds, *_), peak = measured(LARGE, ("training_gradients",), 2)
    record_property("seconds", seconds)
    record_property("bytes", peak)
    print(f"\noracle, training forward and backward on float32 {LARGE}: {seconds:.1f} s, {peak / 1e6:.0f} MB")  # noqa: T201
    assert seconds <= SECONDS
    assert peak <= BYTES


@pytest.mark.slow
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_a_small_case_keeps_its_promise(shape: tuple[int, ...], record_property: Any) -> None:
    """Each of training and inference, forward and backward, asked for the first time."""
    for call in ("training_gradients", "inference_gradients"):
        (least, *_), _ = measured(shape, (call,), 25)
        record_property(call, least * 1e3)
        print(f"\noracle, {call} on float32 {shape}: {least * 1e3:.1f} ms")  # noqa: T201
        assert least * 1e3 <= MILLISECONDS
