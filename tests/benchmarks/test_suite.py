"""``pytest benchmarks``: pytest-benchmark with a clock in which only the worker's samples pass."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnspec.benchmarks.virtual_clock import VirtualClock

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``pytest benchmarks`` on the inference workloads; storage and JSON go to ``tmp_path``."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "benchmarks",
            "-p",
            "no:cacheprovider",
            "-k",
            "inference and 4096x64",
        ]
        command += ["--benchmark-max-time", "0.01", f"--benchmark-storage=file://{tmp_path}", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    return call


def test_the_virtual_clock_stands_still_between_samples() -> None:
    """Transport, and whatever else the harness does, takes no time in it."""
    clock = VirtualClock()
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


def test_the_statistics_are_those_of_the_workers_samples(suite: Any, tmp_path: Path) -> None:
    """Every round of the JSON is a sample, and the cell says what its outputs were worth."""
    end = suite("--bnspec-backend", "numpy", "--benchmark-json", str(tmp_path / "out.json"))
    assert end.returncode == 0, end.stdout
    (cell,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert cell["group"] == "inference, tall and skinny"
    assert cell["stats"]["rounds"] == len(cell["stats"]["data"]) >= 5
    assert cell["stats"]["iterations"] == 1
    assert cell["extra_info"]["backend"] == "numpy"
    assert cell["extra_info"]["verdict"] == "conforms"
    assert cell["options"]["timer"].endswith("seconds")


def test_a_saved_run_can_be_compared_with(suite: Any) -> None:
    """The familiar way to see a regression."""
    assert suite("--bnspec-backend", "numpy", "--benchmark-save", "before").returncode == 0
    end = suite("--bnspec-backend", "numpy", "--benchmark-compare", "0001")
    assert end.returncode == 0, end.stdout
    assert "(0001_before)" in end.stdout


def test_without_benchmarking_the_outputs_are_still_judged(suite: Any, plant: Any) -> None:
    """--benchmark-disable makes it a test of one call; a wrong output fails it."""
    spec = plant("def inference(self, x): return super().inference(x) + 1")
    end = suite("--bnspec-backend", "numpy", "--bnspec-backend", spec, "--benchmark-disable")
    assert end.returncode == 1
    assert "1 failed, 1 passed" in end.stdout
    assert "y is off" in end.stdout


def test_what_cannot_be_timed_is_skipped_with_its_reason(suite: Any, plant: Any) -> None:
    """A reason in the summary, and no error."""
    end = suite("--bnspec-backend", plant(adapter="profile = Profile(ranks=(4,))"))
    assert "1 skipped" in end.stdout
    assert "x of rank 2 is not offered" in end.stdout.replace("\n", " ")
