"""``pytest benchmarks``: the options, and one worker for each backend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.targets import Target, targets_of
from bnspec.benchmarks.timing.case_cache import CaseCache
from bnspec.benchmarks.timing.contender import Contender
from bnspec.benchmarks.timing.measure import measure
from bnspec.benchmarks.workloads.suites import SUITES, workloads
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.errors import UsageError
from bnspec.reports.run.records import Timing

OPTIONS: dict[str, dict[str, Any]] = {
    "--bnspec-backend": {"action": "append", "metavar": "GLOB", "help": "backends to use (default: all)"},
    "--bnspec-device": {"action": "append", "metavar": "GLOB", "help": "devices to use (default: cpu)"},
    "--bnspec-suite": {"default": "short", "choices": list(SUITES), "help": "which workloads (default: short)"},
}
#: Parameters are strings, for files and groupings; these map them to targets and workloads.
TARGETS = pytest.StashKey[dict[str, Target]]()
WORKLOADS = pytest.StashKey[dict[str, Workload]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options that no other folder's suite has declared."""
    group = parser.getgroup("bnspec")
    for name, declaration in OPTIONS.items():
        with contextlib.suppress(ValueError):  # declared already: both suites run at once
            group.addoption(name, **declaration)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One benchmark for each target and workload; all of a target together, so that its worker is opened once.

    Raises CollectError: no such backend or device.
    """
    if "timing" not in metafunc.fixturenames:
        return
    option, stash = metafunc.config.getoption, metafunc.config.stash
    try:
        targets = targets_of(option("bnspec_backend") or [], option("bnspec_device") or [])
    except UsageError as error:
        raise pytest.Collector.CollectError(f"bnspec: {error}") from None
    by_name, by_id = {t.name: t for t in targets}, {w.id: w for w in workloads(option("bnspec_suite"))}
    stash[TARGETS], stash[WORKLOADS] = by_name, by_id
    metafunc.parametrize("backend", list(by_name), scope="session")
    metafunc.parametrize("workload", list(by_id))


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest, backend: str) -> Iterator[Worker]:
    """The target's worker."""
    with Contender(request.config.stash[TARGETS][backend]).open() as opened:
        yield opened


@pytest.fixture(scope="session")
def cases() -> CaseCache:
    """The workloads' cases and oracles, shared by all backends."""
    return CaseCache(seed=0)


@pytest.fixture
def timing(request: pytest.FixtureRequest, worker: Worker, cases: CaseCache, workload: str) -> Timing:
    """The workload timed in the worker, once, before any round; skipped where not offered, failed where broken."""
    if worker.hello.status != "ready":
        pytest.skip(f"{worker.entry.name}@{worker.device} is {worker.hello.status}: {worker.hello.reason}")
    timed_case = cases.get(request.config.stash[WORKLOADS][workload])
    record, _ = measure(worker, timed_case, duration(request.config), {}, 0)
    if record.verdict == "declined":
        pytest.skip(f"{worker.entry.name} declines: {record.message}")
    if not record.samples_ns:
        pytest.fail(f"{worker.entry.name}@{worker.device}, {workload}: {record.verdict}: {record.message}")
    return record


def duration(config: pytest.Config) -> dict[str, Any]:
    """Duration and probes by pytest-benchmark's options --benchmark-max-time, -min-rounds and -disable."""
    if config.getoption("benchmark_disable") and not config.getoption("benchmark_enable"):
        return {"seconds": 0.0, "rounds": 1, "min_rounds": 1}
    return {
        "seconds": float(config.getoption("benchmark_max_time")),
        "min_rounds": config.getoption("benchmark_min_rounds"),
        "probes": True,
    }
