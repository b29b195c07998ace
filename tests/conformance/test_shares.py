"""A run whose time is limited: what each target gets of it, and how what is left is counted."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from bnspec.clauses import CLAUSES
from bnspec.cli import main
from bnspec.conformance.cases.effort import cases_of
from bnspec.conformance.checks import CHECKS
from bnspec.conformance.judge.judge import speaks_of
from bnspec.conformance.run.shares import FOR_CASES, Shares
from bnspec.conformance.run.verify import cases_asked
from bnspec.model.case import Case
from bnspec.oracle.oracle import Oracle
from bnspec.reports.run.store import read_run
from bnspec.reports.summary.counts import standings

ALL = list(CLAUSES.values())


class Clock:
    """A clock that stands until it is set."""

    now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_what_a_target_does_not_need_is_the_others() -> None:
    """Two workers, four targets, 60 s: 30 s each; where the first two take 10 s, the others have 50 s."""
    clock = Clock()
    shares = Shares(60.0, targets=4, workers=2, now=clock)
    assert [shares.begin().left, shares.begin().left] == [30.0, 40.0]
    clock.now = 10.0
    last = [shares.begin(), shares.begin()]
    assert [s.left for s in last] == [50.0, 50.0]
    assert not last[0].cases_over
    clock.now = 10.0 + 50.0 * FOR_CASES
    assert last[0].cases_over


def test_opening_takes_no_more_than_three_quarters_of_a_share() -> None:
    """Of 40 s, 38 of which a framework took to open, 10 are left; where it took 5, 35."""
    clock = Clock()
    share = Shares(40.0, targets=1, now=clock).begin()
    clock.now = 5.0
    assert share.opened().left == 35.0
    clock.now = 38.0
    assert share.opened().left == 10.0
    assert not share.opened().cases_over


def test_no_limit_has_no_end_and_no_time_has_no_cases() -> None:
    """None: as long as it takes. 0: nothing."""
    assert not Shares(math.inf, 1).begin().cases_over
    assert Shares(0.0, 1).begin().cases_over


@pytest.fixture(scope="module")
def limited() -> list[Case]:
    """The cases of a run that is limited, in their order."""
    return list(cases_asked("quick", 1, ALL, 1.0))


def test_the_first_cases_of_a_limited_run_ask_every_clause(limited: list[Case]) -> None:
    """The same cases as without a limit, those first that ask each clause once."""
    assert sorted({c.id for c in cases_of("quick", 1)}) == sorted(c.id for c in limited)  # each once
    few = cases_asked("device", 1, ALL)
    asked = [{clause for c in some for clause in speaks_of(c, Oracle(c), CHECKS)} for some in (limited[:50], few)]
    assert asked[0] == asked[1]


def test_what_had_no_time_is_counted_as_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that is not even opened is none that conforms: the status is 3, and its line says how many cases never ran."""
    out = tmp_path / "run"
    assert main(["verify", "numpy", "--clause", "affine", "--minutes", "0", "--out", str(out), "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert {f["verdict"] for f in document["findings"]} == {"not_exercised"}
    run = read_run(out)
    (finished,) = run.targets_finished
    never = finished.cases["not_run"]
    assert finished.cases == {"not_run": never}
    assert never > 100
    assert standings(run)[0].sentence == f"no MUST was judged, {never} of {never} cases never ran"
    assert main(["merge", str(out), str(out), "--out", str(tmp_path / "merged")]) == 2
    assert "had a limit of time" in capsys.readouterr().err


def test_a_limited_run_judges_what_there_is_time_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Judged and never run together are all cases; at so little time most are never run."""
    out = tmp_path / "run"
    assert main(["verify", "numpy", "--clause", "affine", "--minutes", "0.05", "--out", str(out), "--json"]) in (0, 3)
    capsys.readouterr()
    (finished,) = read_run(out).targets_finished
    assert finished.cases["not_run"] > 0
    assert sum(finished.cases.values()) > 100
