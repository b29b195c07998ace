"""A known deviation covers only what its entry says, in the releases that it names; and the page of them is generated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.known.deviation import CLASSES
from bnspec.backends.harness.known.document import anchor, page, text
from bnspec.backends.harness.known.entries import KNOWN, Choice, Known
from bnspec.cli import main
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.corpus import built_in
from bnspec.conformance.judge.known_deviations import known_lookup, reference_of
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.reports.run.evidence import DeviationClass

RELEASE = {"torch": "2.13.0+cpu"}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "deviations.md"
HALF = "dtype.half_is_as_exact_as_declared"


def the_case(words: str) -> Case:
    """The first catalogue case that is for this."""
    return next(c for c in catalogue() if words in c.origin["purpose"])


def entry(**changes: Any) -> Known:
    """An entry, but for the changes."""
    fields: dict[str, Any] = {
        "title": "A title",
        "backends": "numpy",
        "clauses": ("training.output",),
        "where": lambda case: True,
        "conditions": "any",
        "kind": "bug",
        "reason": "why.",
        "observed": "1, expected 2.",
        "reported": False,
        "package": "numpy",
        "versions": ">=1",
    }
    return Known(**{**fields, **changes})


def test_a_known_deviation_covers_only_its_clause_on_its_inputs() -> None:
    """The same clause on other inputs, and another clause on the same inputs, stay new."""
    lookup = known_lookup("torch.nn", RELEASE)
    half, full = the_case("bfloat16 x, bfloat16 parameters"), the_case("a plain case")
    found = lookup(HALF, half)
    assert found is not None
    assert found.kind == "accuracy"
    assert not lookup(HALF, full)
    assert not lookup("training.output", half)


@pytest.mark.parametrize(
    ("backend", "versions"),
    [("torch.nn", {"torch": "2.12.1"}), ("torch.nn", {}), ("numpy", RELEASE)],
    ids=["another release", "no release known", "another backend"],
)
def test_a_known_deviation_is_not_assumed_of_others(backend: str, versions: dict[str, str]) -> None:
    """Nothing is known of a new release."""
    assert not known_lookup(backend, versions)(HALF, the_case("bfloat16 x, bfloat16 parameters"))


def test_a_reference_carries_all_that_a_finding_shows_of_an_entry() -> None:
    """Class, reason, conditions, link and releases reach the run directory."""
    for known in KNOWN:
        found = reference_of(known)
        assert (found.kind, found.reason, found.conditions) == (known.kind, known.reason, known.conditions)
        assert (found.link, found.package, found.versions) == (known.link, known.package, known.versions)
    assert get_args(DeviationClass) == CLASSES


def test_every_known_deviation_gives_its_reason_its_inputs_and_its_numbers() -> None:
    """An entry without words would hide what it covers; one that is reported says where."""
    assert all(k.reason.endswith(".") and k.observed.endswith(".") for k in KNOWN)
    assert all(k.title and k.conditions and k.versions for k in KNOWN)
    assert all(k.link.startswith("https://") or not (k.link or k.reported) for k in KNOWN)
    assert len(set(map(reference_of, KNOWN))) == len(KNOWN)


@pytest.mark.parametrize("changes", [{"clauses": ("training.nope",)}, {"kind": "nope"}], ids=["clause", "class"])
def test_an_entry_of_no_clause_or_no_class_is_refused(changes: dict[str, Any]) -> None:
    """A misspelt clause could never be covered, and the entry would look stale for the wrong reason."""
    with pytest.raises(UsageError):
        entry(**changes)


@pytest.mark.parametrize("clause", ["training.nope", "training.output"])
def test_a_recorded_choice_is_of_a_clause_that_leaves_one(clause: str) -> None:
    """A choice against a MUST would be a deviation."""
    with pytest.raises(UsageError):
        Choice(backend="numpy", clause=clause, note="so.")


def test_strided_parameters_are_covered_only_where_the_channels_lie_innermost() -> None:
    """The kernel of packed images reads strides as they are: a deviation there would be new."""
    lookup = known_lookup("torch.nn", RELEASE)
    matrix, image = (
        c
        for c in catalogue()
        if "parameters and state that are views" in c.origin["purpose"] and c.config.channel_axis == 1
    )
    found = lookup("gradient.training_dx", matrix)
    assert found is not None
    assert found.kind == "bug"
    assert not lookup("gradient.training_dx", image)


def test_the_cases_that_come_with_the_suite_are_read() -> None:
    """They are replayed first, and each says what it once found."""
    assert all(case.id in case.origin["corpus"] for case in built_in())
    assert built_in()


# --- the page -----------------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_entries_say(capsys: pytest.CaptureFixture[str]) -> None:
    """``make deviations`` writes it, by the command."""
    written = PAGE.read_text(encoding="utf-8")
    assert written == page(), "stale: make deviations"
    assert main(["explain", "--deviations"]) == 0
    assert capsys.readouterr().out == written


def test_the_page_shows_every_field_of_an_entry() -> None:
    """Nothing that an entry says is lost on the way; every clause but those beyond the first ones of a long list."""
    written = re.sub(r"\s+", " ", page())
    for known in KNOWN:
        words = (known.title, known.conditions, known.reason, known.observed, known.link, known.search, known.versions)
        assert all(re.sub(r"\s+", " ", w) in written for w in (*words, *known.clauses[:8])), known.title


def test_links_inside_the_page_lead_to_its_headings() -> None:
    """The index of the page."""
    written = page()
    headings = [anchor(h) for h in re.findall(r"^### (.+)$", written, re.MULTILINE)]
    assert len(set(headings)) == len(headings) == len(KNOWN)
    assert set(re.findall(r"\]\(#([^)]+)\)", written)) == set(headings)


def test_a_deviation_that_nobody_reported_is_counted_as_such() -> None:
    """And one with a link that is about something near says so."""
    near = entry(title="Near", link="https://github.com/a/b/issues/3", search="It is about another pass.")
    listed = (entry(), near, entry(title="On record", reported=True, link="https://x.org/y"))
    written = text({"numpy": listed}, (), backend_folders(), ["numpy"])
    assert (
        "3 deviations: 3 bugs, 0 documented differences, 0 accuracy. Of 2 the search found no public report." in written
    )
    assert "- **report**: none found; [b#3](https://github.com/a/b/issues/3). It is about another pass." in written
    assert "- **report**: [x.org](https://x.org/y)." in written
