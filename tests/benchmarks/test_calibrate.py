"""``bnspec calibrate``: backends against themselves, kept for the runs that follow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnspec.benchmarks.run import calibrate as calibrating
from bnspec.benchmarks.run.calibrate import KEPT, calibrated, kept
from bnspec.benchmarks.statistics.calibration import Calibration
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.cli import main
from bnspec.reports.run.records import contender
from bnspec.reports.run.store import read_run

TINY = tuple(Workload("tiny", (6, 3), 1, "float32", p) for p in ("training", "inference"))


@pytest.fixture
def calibrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., tuple[int, str, str]]:
    """Four comparisons of tiny workloads, from ``tmp_path`` into ``tmp_path/run``; returns status, stdout, stderr."""
    monkeypatch.setattr(calibrating, "SUITES", {"short": TINY})
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        few = ["--comparisons", "4", "--pairs", "2", "--seconds", "0.001", "--out", str(tmp_path / "run")]
        status = main(["calibrate", *few, *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_both_sides_are_fresh_processes_whose_raw_samples_are_kept(calibrate: Any, tmp_path: Path) -> None:
    """Two replicate runs of two pairs, on two workloads."""
    status, out, _ = calibrate()
    run = read_run(tmp_path / "run")
    assert (status, run.complete) == (0, True)
    sides = [(contender(t), t.process, t.pass_name) for t in run.timings]
    names = ("numpy@cpu", "numpy@cpu[arm=again]")
    assert sorted(sides) == sorted((n, p, w.pass_name) for n in names for p in range(4) for w in TINY)
    assert all(t.samples_ns for t in run.timings)
    words = " ".join(out.split())
    assert "4 comparisons of a backend with itself: 2 cells in 2 replicate runs, 2 pairs of processes each" in words
    assert "pooled" in out


def test_every_backend_is_recorded_and_compared(calibrate: Any, write_adapter: Any, tmp_path: Path) -> None:
    """They take turns."""
    status, _, _ = calibrate("--backend", "numpy", "--backend", write_adapter())
    run = read_run(tmp_path / "run")
    assert status == 0
    assert {t.backend for t in run.targets} == {t.backend for t in run.timings} == {"numpy", "custom_adapter:Custom"}


def test_the_document_is_the_calibration_and_later_runs_find_it(
    calibrate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this machine, and on no other."""
    assert kept() is None
    assert "not calibrated" in calibrated(None)[1]
    _, out, _ = calibrate("--json")
    document = json.loads(out)
    found = Calibration.from_json({name: value for name, value in document.items() if name != "run"})
    summary = kept()
    assert summary is not None
    assert (summary["comparisons"], summary["pairs"]) == (found.comparisons, [2, 2]) == (4, [2, 2])
    assert f"{found.rules[0].false_alarms.count} false alarms in 4 comparisons" in calibrated(summary)[1]
    monkeypatch.setattr(calibrating, "describe_machine", lambda: {"cpu": "another"})
    assert kept() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"machine": 1, "calibration": {}}'])
def test_a_kept_file_that_is_none_is_as_if_there_were_none(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bench does not fail for it."""
    monkeypatch.chdir(tmp_path)
    KEPT.parent.mkdir()
    KEPT.write_text(text)
    assert kept() is None


def test_a_backend_that_cannot_be_timed_ends_it_with_the_reason(calibrate: Any, write_adapter: Any) -> None:
    """Exit status 3: nothing was measured."""
    spec = write_adapter(adapter="def __init__(self, device): raise DeviceAbsent('no licence')")
    status, _, err = calibrate("--backend", spec)
    assert status == 3
    assert "no licence" in err
    assert not KEPT.exists()


def test_an_unknown_backend_is_refused(calibrate: Any, tmp_path: Path) -> None:
    """Exit status 2, and no run directory."""
    status, out, err = calibrate("--backend", "nunpy")
    assert (status, out) == (2, "")
    assert "no backend matches 'nunpy'" in err
    assert not (tmp_path / "run").exists()
