"""Causes: the findings of a target, grouped by what they need; none is lost, and none is named twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bnspec.cli import main
from bnspec.reports.run.store import read_run

FAILING = ("deviates", "crashed", "timeout")


@pytest.mark.usefixtures("example_adapters_on_path")
def test_one_fault_is_one_cause_and_every_finding_belongs_to_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Epsilon outside the root shows in clauses of two families, and is said once; grouping hides nothing."""
    path = tmp_path / "run"
    asked = ("--clause", "epsilon", "--clause", "training", "--out", str(path))
    assert main(["verify", "--backend", "example_adapters:Wrong", *asked]) == 1
    run = read_run(path)
    failing = sorted(f.clause for f in run.findings if f.verdict in FAILING)
    assert len(failing) > 1
    assert sorted(clause for cause in run.causes for clause in cause.clauses) == failing
    [cause] = [c for c in run.causes if c.level == "MUST"]
    assert cause.family in ("epsilon", "training")
    assert cause.also
    assert cause.case
    assert (path / cause.case).is_file()
    assert "1 cause behind" in capsys.readouterr().out
    assert main(["causes", str(path)]) in (0, 1)
    assert cause.clause in capsys.readouterr().out
    assert main(["causes", str(path), "--json"]) in (0, 1)
    assert cause.clause in json.dumps(json.loads(capsys.readouterr().out))


def test_causes_of_what_is_no_run_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, what, why and fix."""
    assert main(["causes", "no/such/run"]) == 2
    assert "Fix:" in capsys.readouterr().err
