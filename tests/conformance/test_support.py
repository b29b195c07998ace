"""Claims of support: a lost cell is named, and what is unknown never counts as support."""

from __future__ import annotations

import pytest

from bnspec.backends.harness.registry import registered
from bnspec.clauses import FAMILIES
from bnspec.conformance.support import Support, claimed, lost, parse, state_of, written
from bnspec.errors import UsageError
from bnspec.reports.run.records import Finding

CLAIM = Support(("float64", "float32"), {"training": "verified", "gradient": "runs", "mask": "declines"})


def finding(level: str, verdict: str) -> Finding:
    """A finding of this level and verdict."""
    judged = verdict in ("conforms", "deviates")
    failures, ratio = (1, 2.0) if verdict == "deviates" else (0, 0.5 if judged else None)
    declined = int(verdict == "declined")
    return Finding(
        "training.output", "training", level, "numpy", "cpu", verdict, int(judged), failures, declined, ratio
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "state"),
    [
        ([], "unknown"),
        ([("MUST", "not_exercised")], "unknown"),
        ([("MUST", "unavailable")], "unknown"),
        ([("MUST", "declined"), ("SHOULD", "not_exercised")], "declines"),
        ([("MUST", "deviates"), ("MUST", "conforms")], "runs"),
        ([("MUST", "conforms"), ("SHOULD", "deviates")], "verified"),
    ],
)
def test_the_state_of_a_family_follows_from_its_verdicts(findings: list[tuple[str, str]], state: str) -> None:
    """A MUST that deviates is never verified, and what was not asked is unknown."""
    assert state_of(finding(*f) for f in findings) == state


def test_a_lost_cell_is_named() -> None:
    """A dtype that is gone, a family that is less than it was; one that is more is no loss."""
    seen = Support(("float32",), {"training": "runs", "gradient": "verified"})
    assert lost(CLAIM, seen) == [
        "x of dtype float64 is no longer offered",
        "training is runs, claimed verified",
        "mask is unknown, claimed declines",
    ]
    assert not lost(CLAIM, CLAIM)


def test_claims_are_read_as_they_are_written() -> None:
    """The text is made for diffs: it has one row for each state."""
    assert parse(written({"numpy": CLAIM})) == {"numpy": CLAIM}


@pytest.mark.parametrize("text", ["numpy\n    perhaps   training\n", "numpy\n    verified  mask\n    runs  mask\n"])
def test_a_text_that_contradicts_itself_is_refused(text: str) -> None:
    """A state that is none, and a family with two."""
    with pytest.raises(UsageError):
        parse(text)


def test_the_claims_in_git_are_of_backends_and_families() -> None:
    """A claim about nothing would hold forever."""
    names = {entry.name for entry in registered()}
    families = {family.name for family in FAMILIES}
    claims = claimed()
    assert claims
    assert set(claims) <= names
    assert all(set(support.families) <= families for support in claims.values())
