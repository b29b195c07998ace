"""Known deviations excuse only what they say, in the releases they name."""

from __future__ import annotations

import pytest

from bnspec.backends.harness.known.entries import KNOWN, Known, excuse_for
from bnspec.conformance.cases.catalogue import catalogue
from bnspec.conformance.cases.corpus import built_in
from bnspec.errors import UsageError
from bnspec.model.case import Case

RELEASE = {"torch": "2.13.0+cpu"}


def the_case(words: str) -> Case:
    """The first catalogue case that is for this."""
    return next(c for c in catalogue() if words in c.origin["purpose"])


def test_a_known_deviation_covers_only_its_clause_on_its_inputs() -> None:
    """The same clause on other inputs, and another clause on the same inputs, stay new."""
    excuse = excuse_for("torch.nn", RELEASE)
    half, full = the_case("bfloat16 x, bfloat16 parameters"), the_case("a plain case")
    assert excuse("dtype.half_is_as_exact_as_declared", half).startswith("accuracy: ")
    assert not excuse("dtype.half_is_as_exact_as_declared", full)
    assert not excuse("training.output", half)


@pytest.mark.parametrize(
    ("backend", "versions"),
    [("torch.nn", {"torch": "2.12.1"}), ("torch.nn", {}), ("numpy", RELEASE)],
    ids=["another release", "no release known", "another backend"],
)
def test_a_known_deviation_is_not_assumed_of_others(backend: str, versions: dict[str, str]) -> None:
    """A new release starts without excuses."""
    case = the_case("bfloat16 x, bfloat16 parameters")
    assert not excuse_for(backend, versions)("dtype.half_is_as_exact_as_declared", case)


def test_every_known_deviation_gives_its_reason_and_its_inputs() -> None:
    """An entry without words would hide what it excuses."""
    assert all(k.reason.endswith(".") and k.inputs and k.versions for k in KNOWN)


def test_a_known_deviation_of_no_clause_is_refused() -> None:
    """A misspelt clause could never be excused, and the entry would look stale for the wrong reason."""
    with pytest.raises(UsageError):
        Known("numpy", ("training.nope",), lambda case: True, "any", "bug", "why.", "", "numpy", ">=1")


def test_strided_parameters_are_excused_only_where_the_channels_lie_innermost() -> None:
    """The kernel of packed images reads strides as they are: a deviation there would be new."""
    excuse = excuse_for("torch.nn", RELEASE)
    matrix, image = (
        c
        for c in catalogue()
        if "parameters and state that are views" in c.origin["purpose"] and c.config.channel_axis == 1
    )
    assert excuse("gradient.training_dx", matrix).startswith("bug: ")
    assert not excuse("gradient.training_dx", image)


def test_the_cases_that_come_with_the_suite_are_read() -> None:
    """They are replayed first, and each says what it once found."""
    assert all(case.id in case.origin["corpus"] for case in built_in())
    assert built_in()
