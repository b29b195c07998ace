"""Causes in the terminal, on the page, as JSON and by their command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bnspec.cli import main
from bnspec.reports.page.page import build_page
from bnspec.reports.run.causes import Cause, Condition
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.records import Finding, TargetRecord
from bnspec.reports.run.store import read_run

WriteRun = Callable[..., Path]
KNOWN = KnownDeviation(kind="bug", reason="it is so.", conditions="always", package="alpha", versions=">=1")
CAUSE = Cause(
    "training.output", "training", "MUST", "alpha", "cpu", also=("gradient.training_dx",),
    conditions=(Condition("dtype", "float16", "float32"),), known=(KNOWN,), message="y is off", experiments=9, cut="stopped after 5 s",
)  # fmt: skip
HEADLINE = "1 cause (1 known) behind 2 clauses"


@pytest.fixture
def run(write_run: WriteRun) -> Path:
    """A run with a target, two findings and their cause."""
    evidence = Evidence(step=0, call="training", relation="within_bound", output="y", index=(0,), ratio=2.0)
    findings = [
        Finding(c, c.partition(".")[0], "MUST", "alpha", "cpu", "deviates", 3, 1, 0, 2.0, "y is off", evidence, known=(KNOWN,))
        for c in CAUSE.clauses
    ]  # fmt: skip
    return write_run(TargetRecord("alpha", "cpu", "ready", "", "alpha", {}, {}), *findings, CAUSE)


def test_the_command_prints_counts_and_causes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it needs, the clauses that show it, and that experiments were cut."""
    assert main(["causes", str(run)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in (HEADLINE, "needs dtype: float16 (not with float32)", "also seen in gradient.training_dx", "(known)"):
        assert words in said
    assert "float32); whether it needs more was not examined" in said
    assert "experiments on alpha@cpu stopped after 5 s" in said


def test_the_headline_and_the_page_speak_of_causes(run: Path) -> None:
    """Causes come before the clauses."""
    page = build_page([read_run(run)], {})
    assert HEADLINE in page
    assert page.index('id="causes"') < page.index('id="deviations"')


def test_the_document_holds_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For programs: counts by target, and the records."""
    assert main(["causes", str(run), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["targets"][0] == {
        "target": "alpha@cpu",
        "causes": 1,
        "known": 1,
        "clauses": 2,
        "levels": {"MUST": 1},
    }
    assert document["causes"][0]["conditions"] == [{"feature": "dtype", "value": "float16", "ordinary": "float32"}]


def test_a_cause_names_each_clause_once() -> None:
    """A finding belongs to one cause, once."""
    with pytest.raises(ValueError, match="named twice"):
        Cause("running.mean", "running", "MUST", "alpha", "cpu", also=("running.mean",))
