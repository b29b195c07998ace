"""``bnspec bench``: what it promises on the command line, in JSON and in the run directory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnspec.benchmarks.run import bench as running
from bnspec.benchmarks.run.bench import exit_status
from bnspec.benchmarks.timing.bandwidth import COPIES_BYTES, COPY, measured_roofs
from bnspec.benchmarks.workloads import suites as offered
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.cli import main
from bnspec.reports.run.records import Timing
from bnspec.reports.run.store import read_run

TINY = tuple(
    Workload("tiny", shape, axis, "float32", p) for shape, axis in (((6, 3), 1), ((2, 4, 3), 2)) for p in offered.BASIC
)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., tuple[int, str, str]]:
    """Run ``bnspec bench`` once on tiny shapes, into ``tmp_path/run``; returns status, stdout, stderr."""
    monkeypatch.setattr(offered, "SUITES", {"short": TINY})
    monkeypatch.setattr(running, "measured_roofs", lambda *_: iter(()))
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        arguments = ["bench", "--rounds", "1", "--seconds", "0.001", "--out", str(tmp_path / "run"), *words]
        try:
            status = main(arguments)
        except SystemExit as end:  # argparse ends so
            status = int(end.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_the_json_document_has_the_promised_fields_and_nothing_else_is_printed(bench: Any) -> None:
    """Others rely on these names."""
    status, out, _ = bench("--backend", "numpy", "--json")
    document = json.loads(out)
    assert status == 0
    assert document["run"]["id"].startswith("bench-")
    assert len(document["timings"]) == len(TINY)
    for row in document["timings"]:
        assert {"backend", "device", "pass", "shape", "dtype", "median_ns", "verdict", "ratio"} <= row.keys()
        assert (row["backend"], row["device"], row["verdict"]) == ("numpy", "cpu", "conforms")
        assert row["median_ns"] > 0


def test_the_run_directory_holds_the_whole_run(bench: Any, tmp_path: Path) -> None:
    """Everything downstream reads only this."""
    status, out, _ = bench("--backend", "numpy", "--pass", "inference", "--pass", "training", "--seed", "9")
    run = read_run(tmp_path / "run")
    assert (status, run.complete, run.manifest.seed) == (0, True, 9)
    assert {t.pass_name for t in run.timings} == {"inference", "training"}
    assert [t.status for t in run.targets] == ["ready"]
    assert run.targets_finished[0].cases == {"conforms": 4}
    assert "numpy@cpu" in out
    assert str(tmp_path / "run") in out.replace("\n", "")


def test_the_memory_of_the_device_is_measured_and_a_plain_copy_timed(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a user's run does it: in a process of its own, into the same run directory."""
    monkeypatch.setattr(running, "measured_roofs", measured_roofs)
    status, _, _ = bench("--backend", "numpy", "--pass", "inference")
    run = read_run(tmp_path / "run")
    assert status == 0
    assert {r.action for r in run.roofs} == {"copy", "read"}
    assert [t.verdict for t in run.timings if t.backend == COPY] == ["conforms"] * len(COPIES_BYTES)


def test_outputs_that_deviate_make_the_exit_status_1(bench: Any, write_adapter: Any) -> None:
    """A stale answer is fast, and wrong."""
    spec = write_adapter("""
        def inference(self, x):
            self.answer = super().inference(x) if self.answer is None else self.answer
            return self.answer
        """)
    status, out, _ = bench("--backend", spec, "--json")
    verdicts = {(row["pass"], row["verdict"]) for row in json.loads(out)["timings"]}
    assert status == 1
    assert verdicts == {("inference", "rejected"), ("training", "conforms"), ("training_gradients", "conforms")}


def test_a_declined_form_is_a_row_with_its_reason(bench: Any, write_adapter: Any) -> None:
    """What is not offered is shown as itself: neither green nor left out."""
    spec = write_adapter(adapter="conventions = Conventions(channel_axes='first')")
    status, out, _ = bench("--backend", spec, "--pass", "training", "--json")
    declined, conforms = sorted(json.loads(out)["timings"], key=lambda row: row["verdict"], reverse=True)
    assert status == 0
    assert (conforms["verdict"], declined["verdict"]) == ("conforms", "declined")
    assert declined["message"] == "channel axis 2 of rank 3 is not supported"
    assert declined["median_ns"] is None


def test_nothing_timed_is_exit_status_3_with_the_reason(bench: Any, write_adapter: Any) -> None:
    """A run that measured nothing must not look green."""
    status, _, err = bench(
        "--backend", write_adapter(adapter="def __init__(self, device): raise DeviceAbsent('no licence')")
    )
    assert status == 3
    assert "nothing could be timed" in err
    assert "no licence" in err
    assert "Fix:" in err


WRONG_CALLS = {
    "backend": (["--backend", "nunpy"], "no backend matches 'nunpy'"),
    "pass": (["--pass", "backward"], "no pass is called 'backward'"),
    "device": (["--device", "the left one"], "is no device"),
}


@pytest.mark.parametrize("wrong", WRONG_CALLS)
def test_a_wrong_call_is_refused_with_what_why_and_mend(wrong: str, bench: Any, tmp_path: Path) -> None:
    """Exit status 2, nothing on standard output, and no run directory."""
    words, what = WRONG_CALLS[wrong]
    status, out, err = bench(*words)
    assert (status, out) == (2, "")
    assert what in err
    assert "Why:" in err
    assert "Fix:" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--threads", "0"],
        ["--threads", "100000"],
        ["--cache", "warm"],
        ["--seconds", "0"],
        ["--seconds", "soon"],
        ["--seed", "-1"],
    ],
    ids=" ".join,
)
def test_a_number_that_makes_no_sense_is_refused(words: list[str], bench: Any) -> None:
    """argparse's own errors say how to fix them, too."""
    status, out, err = bench(*words)
    assert (status, out) == (2, "")
    assert "Fix:" in err


def test_a_folder_that_holds_files_is_not_overwritten(bench: Any, tmp_path: Path) -> None:
    """A run overwrites nothing."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").write_text("kept")
    status, _, err = bench("--backend", "numpy")
    assert status == 2
    assert "cannot take a new run" in err


def test_an_interrupted_run_can_be_read(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C leaves what was timed so far."""
    measured, calls = running.measure, []

    def interrupted(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return measured(*given)

    monkeypatch.setattr(running, "measure", interrupted)
    status, _, _ = bench("--backend", "numpy")
    run = read_run(tmp_path / "run")
    assert (status, run.complete, len(run.timings)) == (130, False, 2)


def row(verdict: str, timed: bool = False, backend: str = "a") -> Timing:
    """A record with this verdict."""
    samples, median = ((5,), 5.0) if timed else ((), None)
    ratio = {"conforms": 0.5, "deviates": 2.0}.get(verdict)
    return Timing(backend, "cpu", "training", (1,), "float32", 0, samples, median, None, None, verdict, ratio)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([row("conforms", True), row("declined")], 0),
        ([row("conforms", True), row("deviates", True)], 1),
        ([row("conforms", True), row("rejected", True)], 1),
        ([row("conforms", True), row("crashed")], 1),
        ([row("declined"), row("unavailable")], 3),
        ([row("crashed")], 3),
        ([row("conforms", True, COPY), row("declined")], 3),
        ([], 3),
    ],
)
def test_the_exit_status_follows_from_the_verdicts(rows: list[Timing], status: int) -> None:
    """0 what was timed conforms, 1 it does not or broke, 3 nothing was timed."""
    assert exit_status(rows) == status
