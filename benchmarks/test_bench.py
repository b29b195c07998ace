"""Every backend, pass and shape under pytest-benchmark, with its options, tables, JSON and comparison::

    pytest benchmarks --bnspec-backend 'torch.*' --benchmark-json out.json
    pytest benchmarks --benchmark-autosave;  pytest benchmarks --benchmark-compare

A benchmark whose outputs deviate from the specification fails: there is no speed without a right answer.
"""

from __future__ import annotations

from typing import Any

import pytest

from bnspec.benchmarks.virtual_clock import VirtualClock
from bnspec.benchmarks.workloads import Workload
from bnspec.reports.records import Timing

CLOCK = VirtualClock()


@pytest.mark.benchmark(timer=CLOCK.seconds)
def test_pass(timing: Timing, workload: Workload, benchmark: Any) -> None:
    """The worker's samples, one a round; and the outputs of its last timed call are right."""
    benchmark.group = f"{workload.pass_name}, {workload.name}"
    benchmark.extra_info.update(
        backend=timing.backend,
        device=timing.device,
        verdict=timing.verdict,
        ratio=timing.ratio,
        first_ns=timing.first_ns,
        threads=timing.threads,
        message=timing.message,
    )
    benchmark.pedantic(CLOCK.load(timing.samples_ns), rounds=len(timing.samples_ns))
    assert timing.verdict == "conforms", f"{timing.backend}@{timing.device}, {workload.id}: {timing.message}"
