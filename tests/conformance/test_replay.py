"""``bnspec replay``: one saved case, run again and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue

ADAPTERS = ("--backend", "example_adapters:Right", "--backend", "example_adapters:Wrong")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A case on which epsilon outside the root shows."""
    case = next(c for c in catalogue() if c.origin["purpose"].startswith("epsilon far above the variance"))
    path = tmp_path / "case.json"
    path.write_text(case.dumps(), "utf-8")
    return path


@pytest.mark.usefixtures("example_adapters_on_path")
def test_every_step_is_shown_with_its_worst_element(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The right adapter's ratios are at most 1, the wrong one's clauses are named; exit status 1."""
    assert main(["replay", str(saved), *ADAPTERS, "--json"]) == 1
    right, wrong = json.loads(capsys.readouterr().out)["targets"]
    assert right["steps"]
    assert all(float(e["ratio"]) <= 1 for step in right["steps"] for e in step["elements"])
    assert all(c is None or c["conforms"] for c in right["clauses"].values())
    broken = wrong["clauses"]["epsilon.inside_root_in_training"]
    assert not broken["conforms"]
    shown = {e["output"]: e for e in wrong["steps"][broken["evidence"]["step"]]["elements"]}
    assert float(shown["y"]["ratio"]) > 1


def test_a_clause_that_the_case_does_not_ask_is_refused(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing would be judged, and exit status 0 would say that it is kept."""
    assert main(["replay", str(saved), "--backend", "numpy", "--clause", "input"]) == 2
    said = capsys.readouterr().err
    assert "asks none of these clauses" in said
    assert "it asks training." in said


@pytest.mark.usefixtures("example_adapters_on_path")
def test_the_terminal_names_case_step_and_clause(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person finds the number of the step in both parts."""
    assert main(["replay", str(saved), *ADAPTERS, "--clause", "epsilon"]) == 1
    said = capsys.readouterr().out
    assert "example_adapters:Right@cpu" in said
    assert "MUST   epsilon.inside_root_in_training  ratio" in said
    assert "clauses that the case asks conform" in said
    assert main(["replay", str(saved), *ADAPTERS[:2]]) == 0


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_backend_that_opens_and_dies_deviates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1; its end is the reason."""
    monkeypatch.setenv("EXAMPLE_MARKER", str(tmp_path / "marker"))
    monkeypatch.setenv("EXAMPLE_DEATHS", "2")
    case = next(c for c in catalogue() if c.config.rank == 3 and any(s.call.name == "training" for s in c.steps))
    path = tmp_path / "case.json"
    path.write_text(case.dumps(), "utf-8")
    assert main(["replay", str(path), "--backend", "example_adapters:Dying"]) == 1
    assert "crashed: killed by SIGKILL" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "", "{}", "[1", "\x00", '{"schema": "bnspec-case/1", "buffers": []}'])
def test_what_is_no_case_is_refused(text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, what, why and fix; nothing on standard output."""
    path = tmp_path / "case.json"
    if text is not None:
        path.write_text(text, "utf-8")
    assert main(["replay", str(path), "--backend", "numpy"]) == 2
    said = capsys.readouterr()
    assert "Fix:" in said.err
    assert not said.out


@pytest.mark.usefixtures("example_adapters_on_path")
def test_a_case_of_a_run_is_replayed_where_it_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not on every backend that there is; and a kernel's case on its kernel, which is a file."""
    run = tmp_path / "run"
    call = [
        "verify",
        "--backend",
        "example_adapters:Wrong",
        "--clause",
        "epsilon.inside_root_in_inference",
        "--jobs",
        "1",
    ]
    assert main([*call, "--effort", "device", "--out", str(run)]) == 1
    case = next((run / "cases").glob("*.json"))
    capsys.readouterr()
    assert main(["replay", str(case), "--json"]) == 1
    assert [t["backend"] for t in json.loads(capsys.readouterr().out)["targets"]] == ["example_adapters:Wrong"]
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest["options"]["kernel"] = {}
    (run / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert main(["replay", str(case)]) == 2
    assert "is no file" in capsys.readouterr().err
