"""Every backend, pass and shape under pytest-benchmark, with its options, tables, JSON and comparison::

    pytest benchmarks --bnspec-backend 'torch.*' --benchmark-json out.json
    pytest benchmarks --benchmark-autosave;  pytest benchmarks --benchmark-compare
    pytest benchmarks --benchmark-group-by param:backend

A benchmark fails when its outputs deviate from the specification or a probe rejects its samples: the time of a wrong answer
means nothing. Such a time is shown with the verdict in its name, and is neither saved nor exported.
"""

from __future__ import annotations

from typing import Any

import pytest

from bnspec.benchmarks.replay_clock import ReplayClock
from bnspec.reports.exports.pytest_benchmark import extra_info
from bnspec.reports.exports.selection import RIGHT
from bnspec.reports.run.records import Timing, contender
from bnspec.reports.summary.cells import Cell

CLOCK = ReplayClock()


@pytest.mark.benchmark(timer=CLOCK.seconds)
def test_pass(timing: Timing, workload: str, benchmark: Any) -> None:
    """The worker's samples, one a round; the outputs of its timed calls conform."""
    benchmark.group = workload
    benchmark.extra_info.update(extra_info(Cell(workload, contender(timing), (timing,))))
    if timing.verdict != RIGHT:
        benchmark.name += f" ({timing.verdict})"
        benchmark.has_error = True
    replay = CLOCK.load(timing.samples_ns, timing.calls_per_sample)
    benchmark.pedantic(replay, rounds=len(timing.samples_ns), iterations=timing.calls_per_sample)
    message = f"{contender(timing)}, {workload}: {timing.verdict}: {timing.message}"
    assert timing.verdict == RIGHT, message
