"""``pytest benchmarks``: the options, and one worker for each backend."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from bnspec.backends.launcher import Worker
from bnspec.backends.targets import Target, targets_of
from bnspec.benchmarks.measure import Prepared, measure
from bnspec.benchmarks.workloads import PROFILES, Workload, workloads
from bnspec.reports.records import Timing

OPTIONS: dict[str, dict[str, Any]] = {
    "--bnspec-backend": {"action": "append", "metavar": "GLOB", "help": "backends to use (default: all)"},
    "--bnspec-device": {"action": "append", "metavar": "GLOB", "help": "devices to use (default: cpu)"},
    "--bnspec-profile": {"default": "quick", "choices": sorted(PROFILES), "help": "which workloads (default: quick)"},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options that no other folder's suite has declared."""
    group = parser.getgroup("bnspec")
    for name, declaration in OPTIONS.items():
        with contextlib.suppress(ValueError):  # declared already: both suites were asked for at once
            group.addoption(name, **declaration)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One benchmark for each target and workload; all of a target together, so that its worker is opened once."""
    if "timing" not in metafunc.fixturenames:
        return
    option = metafunc.config.getoption
    targets = targets_of(option("bnspec_backend") or [], option("bnspec_device") or [])
    metafunc.parametrize("worker", targets, ids=lambda t: t.name, indirect=True, scope="session")
    metafunc.parametrize("workload", workloads(option("bnspec_profile")), ids=lambda w: w.id)


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    """The target's worker."""
    target: Target = request.param
    with Worker(target.entry, target.device) as opened:
        yield opened


@functools.cache
def prepared(workload: Workload) -> Prepared:
    """The workload's case and its oracle, shared by all backends."""
    return Prepared(workload)


@pytest.fixture
def timing(request: pytest.FixtureRequest, worker: Worker, workload: Workload) -> Timing:
    """The workload timed in the worker, once, before any round; skips what is not offered, fails what broke.

    pytest-benchmark's own options decide how long: --benchmark-max-time and --benchmark-min-rounds; a single call with
    --benchmark-disable.
    """
    option = request.config.getoption
    if option("benchmark_skip") and not option("benchmark_only"):
        pytest.skip("--benchmark-skip was given")
    if worker.hello.status != "ready":
        pytest.skip(f"{worker.entry.name}@{worker.device} is {worker.hello.status}: {worker.hello.reason}")
    if option("benchmark_disable") and not option("benchmark_enable"):
        record, _ = measure(worker, prepared(workload), 0.0, rounds=1)
    else:
        seconds = float(option("benchmark_max_time"))
        record, _ = measure(worker, prepared(workload), seconds, min_rounds=option("benchmark_min_rounds"))
    if record.verdict == "declined":
        pytest.skip(f"{worker.entry.name} declines: {record.message}")
    if not record.samples_ns:
        pytest.fail(f"{worker.entry.name}@{worker.device}, {workload.id}: {record.verdict}: {record.message}")
    return record
