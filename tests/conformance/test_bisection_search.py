"""Halving: the right release, in few steps; what changes twice is said, and what cannot be built is stepped over."""

from __future__ import annotations

import itertools

import pytest

from bnspec.conformance.bisection.search import Answer, search, until_sure

RELEASES = 12


@pytest.mark.parametrize("first", range(1, RELEASES))
def test_a_change_is_found_in_at_most_five_steps(first: int) -> None:
    """Wherever it is; with a probe on each side away from it, where one is left."""
    found = search(RELEASES, lambda i: Answer("new" if i >= first else "old"))
    assert (found.last, found.first) == (first - 1, first)
    assert found.steps <= 5
    assert len(found.probes) <= 10
    assert found.monotonic
    for low, high in ((0, first - 1), (first, RELEASES - 1)):
        inside = [p for p in found.probes if low < p.index < high]
        assert inside or high - low < 2


@pytest.mark.parametrize("missing", list(itertools.combinations(range(RELEASES), 2)), ids=str)
def test_releases_that_cannot_be_built_are_stepped_over(missing: tuple[int, int]) -> None:
    """The change is between the nearest that can; those between are named."""
    found = search(RELEASES, lambda i: Answer("", reason="no wheel") if i in missing else Answer(str(i >= 6)))
    assert found.first is not None
    assert found.last is not None
    assert found.last < 6 <= found.first
    assert set(found.skipped) == set(range(found.last + 1, found.first))
    assert set(found.skipped) <= set(missing)


@pytest.mark.parametrize("answers", ["oonnooooonnn", "onnnnnnoonnn", "oooooonnnooo", "ooooooxxnnnn"])
def test_what_changes_more_than_once_is_said(answers: str) -> None:
    """One between two probes that agree escapes; these do not."""
    found = search(RELEASES, lambda i: Answer(answers[i]))
    assert not found.monotonic


def test_equal_ends_are_no_change() -> None:
    """Nothing is found, and what lies between was looked at."""
    found = search(RELEASES, lambda i: Answer("old"))
    assert (found.first, found.monotonic, len(found.probes)) == (None, True, 4)


@pytest.mark.parametrize("count", [0, 1])
def test_one_release_has_no_change(count: int) -> None:
    """Neither has none."""
    assert search(count, lambda i: Answer("old")).first is None


def test_a_release_is_asked_once() -> None:
    """A probe builds an environment."""
    asked: list[int] = []
    search(RELEASES, lambda i: Answer(str(i > 4)) if asked.append(i) is None else Answer(""))
    assert len(asked) == len(set(asked))


def test_an_answer_that_is_given_now_and_then_is_none() -> None:
    """Two that agree are enough; of five, four must."""
    assert until_sure(lambda: Answer("old")).asked == 2
    values = iter("onooo")
    assert until_sure(lambda: Answer(next(values))).value == "o"
    values = iter("ononn")
    unsure = until_sure(lambda: Answer(next(values)))
    assert (unsure.value, unsure.asked) == ("", 5)
    assert "2 times o" in unsure.reason
