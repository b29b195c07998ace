"""``pytest benchmarks``: pytest-benchmark with a clock in which only the worker's samples pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bnspec.benchmarks.replay_clock import ReplayClock

ROOT = Path(__file__).resolve().parents[2]
WORKLOAD = "inference-4096x64-axis1-float32"
Ended = subprocess.CompletedProcess[str]
NUMPY = ("--bnspec-backend", "numpy")


def call(storage: Path, *words: str) -> Ended:
    """Run ``pytest benchmarks`` on one workload; what it stores goes to ``storage``."""
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "-k", WORKLOAD]
    command += ["-p", "no:hypothesispytest"]  # not needed here, and slow to load
    command += ["--benchmark-max-time", "0.01", f"--benchmark-storage=file://{storage}", *words]
    # pytest-benchmark times nothing in a process that it takes for a worker of pytest-xdist
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Ended]:
    """Run ``pytest benchmarks`` with these words; storage is ``tmp_path``."""
    return lambda *words: call(tmp_path, *words)


@dataclass(frozen=True)
class Kept:
    """A run of the suite on numpy that many tests share: how it ended, its JSON, and where it was saved."""

    end: Ended
    document: dict[str, Any]
    saved: Path

    @property
    def cell(self) -> dict[str, Any]:
        """The one benchmark."""
        (cell,) = self.document["benchmarks"]
        found: dict[str, Any] = cell
        return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """With the options that users of pytest-benchmark know: autosave, JSON, rounds, warm-up, columns, grouping."""
    place = tmp_path_factory.mktemp("kept")
    words = ("--benchmark-autosave", "--benchmark-json", str(place / "out.json"), "--benchmark-only")
    words += ("--benchmark-min-rounds", "31", "--benchmark-max-time", "0.0001", "--benchmark-warmup", "on")
    words += ("--benchmark-group-by", "param:workload", "--benchmark-columns", "median,rounds")
    end = call(place, *NUMPY, *words)
    assert end.returncode == 0, end.stdout
    (saved,) = place.rglob("0001_*.json")
    return Kept(end, json.loads((place / "out.json").read_text()), saved)


def test_the_replay_clock_stands_still_between_samples() -> None:
    """Transport, and whatever else the harness does, takes no time in it."""
    clock = ReplayClock()
    replay = clock.load([3_000, 5_000])
    readings = []
    for _ in range(3):
        begun = clock.seconds()
        time.sleep(0.002)
        replay()
        readings.append(round((clock.seconds() - begun) * 1e9))
    assert readings == [3_000, 5_000, 3_000]
    clock.load([1])
    assert clock.seconds() == 0.0


def test_the_calls_of_a_sample_take_its_mean_each() -> None:
    """A round of so many iterations is as long as the block of calls was, and its mean is the sample."""
    clock = ReplayClock()
    replay = clock.load([30, 50], calls_per_sample=4)
    rounds = []
    for _ in range(2):
        begun = clock.seconds()
        for _ in range(4):
            replay()
        rounds.append(round((clock.seconds() - begun) * 1e9))
    assert rounds == [4 * 30, 4 * 50]


def test_the_statistics_are_those_of_the_workers_samples(kept: Kept) -> None:
    """Every round of the JSON is a sample, and the cell says what its outputs were worth."""
    stats, extra = kept.cell["stats"], kept.cell["extra_info"]
    assert stats["rounds"] == len(stats["data"])
    assert [stats["iterations"]] == extra["calls_per_sample"]
    assert round(stats["median"] * 1e9) == round(extra["median_of_processes_ns"])
    assert (extra["contender"], extra["verdict"], extra["conditions"]) == ("numpy@cpu", "conforms", {})
    assert extra["ratio"] <= 1.0
    assert kept.cell["options"]["timer"].endswith("seconds")


def test_what_the_worker_has_measured_besides_stands_in_the_extra_info(kept: Kept) -> None:
    """First call, compilation, dispatch, page faults, memory and probes: pytest-benchmark has no columns for them."""
    extra = kept.cell["extra_info"]
    assert extra["first_ns"] > 0
    assert {"import_ns", "compile_ns", "dispatch_ns", "page_faults_per_call", "peak_bytes", "moved_bytes"} <= set(extra)
    assert extra["probes"]
    assert not any(extra["probes"].values()), "numpy does its work"


def test_parameters_are_words_that_can_be_grouped_by(kept: Kept) -> None:
    """In the table and in the file, so that a later comparison can group, too."""
    assert f"benchmark 'workload={WORKLOAD}': 1 tests" in kept.end.stdout
    assert kept.cell["group"] == WORKLOAD
    assert kept.cell["params"] == {"backend": "numpy@cpu", "workload": WORKLOAD}


def test_the_least_number_of_rounds_outweighs_the_time(kept: Kept) -> None:
    """As ever; --benchmark-warmup is taken and changes nothing, because the worker always warms up."""
    (row,) = [line for line in kept.end.stdout.splitlines() if line.startswith("test_pass[")]
    assert row.split()[-1] == "31"


def test_a_saved_run_can_be_compared_with(kept: Kept, suite: Any, tmp_path: Path) -> None:
    """The familiar way to see a regression: the latest saved run, and a failure beyond what was allowed."""
    document = json.loads(kept.saved.read_text())
    document["benchmarks"][0]["stats"]["median"] /= 1000  # a time that no one reaches again
    stored = tmp_path / kept.saved.parent.name / "0001_before.json"
    stored.parent.mkdir()
    stored.write_text(json.dumps(document))
    words = ("--benchmark-compare-fail", "median:900%", "--benchmark-group-by", "param:backend")
    end = suite(*NUMPY, "--benchmark-compare", *words)
    assert "(0001_before)" in end.stdout
    assert "'backend=numpy@cpu': 2 tests" in end.stdout
    assert end.returncode != 0
    assert "Performance has regressed" in end.stdout + end.stderr


def test_without_benchmarking_the_outputs_are_still_judged(suite: Any, write_adapter: Any) -> None:
    """--benchmark-disable makes it a test of one call; a wrong output fails it."""
    spec = write_adapter("def inference(self, x): return super().inference(x) + 1")
    end = suite(*NUMPY, "--bnspec-backend", spec, "--benchmark-disable")
    assert end.returncode == 1
    assert "1 failed, 1 passed" in end.stdout
    assert "y is off" in end.stdout


def test_a_wrong_time_is_marked_and_never_saved(suite: Any, write_adapter: Any, tmp_path: Path) -> None:
    """It fails; the table shows it with its verdict, the file of times holds the right ones alone."""
    spec = write_adapter("def inference(self, x): return super().inference(x) + 1")
    end = suite(*NUMPY, "--bnspec-backend", spec, "--benchmark-json", str(tmp_path / "out.json"))
    assert end.returncode == 1
    assert f"test_pass[custom_adapter:Custom@cpu-{WORKLOAD}] (deviates)" in end.stdout
    names = [b["params"]["backend"] for b in json.loads((tmp_path / "out.json").read_text())["benchmarks"]]
    assert names == ["numpy@cpu"]


def test_a_time_that_a_probe_rejects_fails(suite: Any, write_adapter: Any) -> None:
    """An answer that was remembered is right, and its time is none."""
    remembers = """
    def inference(self, x):
        if self.answer is None:
            self.answer = {}
        if id(x) not in self.answer:
            self.answer[id(x)] = (x, super().inference(x))
        return self.answer[id(x)][1]
    """
    end = suite("--bnspec-backend", write_adapter(remembers))
    assert end.returncode == 1
    assert "(rejected)" in end.stdout


def test_what_cannot_be_timed_is_skipped_with_its_reason(suite: Any, write_adapter: Any) -> None:
    """A reason in the summary, and no error."""
    end = suite("--bnspec-backend", write_adapter(adapter="conventions = Conventions(ranks=(4,))"))
    assert "1 skipped" in end.stdout
    assert "x of rank 2 is not supported" in end.stdout.replace("\n", " ")


def test_benchmarks_can_be_left_out(suite: Any) -> None:
    """--benchmark-skip, for a run of tests alone."""
    end = suite(*NUMPY, "--benchmark-skip")
    assert end.returncode == 0
    assert "1 skipped" in end.stdout


def test_a_backend_that_is_not_there_is_refused_with_what_why_and_fix(suite: Any) -> None:
    """A message, and no traceback."""
    end = suite("--bnspec-backend", "nosuch")
    assert end.returncode != 0
    assert "no backend matches 'nosuch'" in end.stdout
    assert "Fix:" in end.stdout
    assert "Traceback" not in end.stdout + end.stderr
