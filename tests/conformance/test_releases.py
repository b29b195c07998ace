"""Releases: which ones a call means, in which order, and a run over some of them."""

from __future__ import annotations

import datetime

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bnspec.backends.harness.environments.releases import Release, files_of_json
from bnspec.backends.harness.environments.spec import parse
from bnspec.conformance.releases.backends import backends_of, within_releases
from bnspec.conformance.releases.selection import choice_of, chosen, taken_of
from bnspec.errors import UsageError


def release(version: str, day: str, yanked: bool = False, python: str = ">=3.8") -> Release:
    """A release of that day."""
    when = datetime.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return Release(Version(version), when, yanked, (python,))


LISTED = [
    release("0.4.9", "2024-01-05"),
    release("0.4.10", "2024-02-05"),
    release("0.5.0rc1", "2024-03-01"),
    release("0.5.0", "2024-03-31", yanked=True),
    release("0.5.1", "2024-04-01"),
    release("0.6.0", "2024-05-01"),
    release("0.7.0", "2024-06-01", python=">=3.99"),
]
CHOICES = {
    "the newest that runs here": ((None, None, None, False), ["0.6.0"]),
    "every minor": (("minor", None, None, False), ["0.4.10", "0.5.1", "0.6.0"]),
    "the newest of every minor": (("minor", 2, None, False), ["0.5.1", "0.6.0"]),
    "all patches of a time": (("patch", None, "2024-02..2024-04", False), ["0.4.10", "0.5.1"]),
    "odd ones, up to a day": (("patch", None, "2024-03-01..2024-03-31", True), ["0.5.0rc1", "0.5.0"]),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_takes_releases_in_the_order_of_versions(choice: str) -> None:
    """0.4.10 is after 0.4.9; what was yanked or came before its time is not taken, unless it is asked for."""
    options, expected = CHOICES[choice]
    assert [str(r.version) for r in taken_of(LISTED, SpecifierSet(">=0.4"), choice_of(*options))] == expected


@pytest.mark.parametrize("dates", ["2024", "2024-13..2025-01", "2025-01..2024-01", "now..then"])
def test_a_time_that_is_none_is_refused(dates: str) -> None:
    """With the form that is meant."""
    with pytest.raises(UsageError, match="is no time"):
        choice_of(None, None, dates, False)


def test_a_page_of_an_index_is_data() -> None:
    """Whatever stands in it: only files with names count, and times and Pythons that can be read."""
    page = {
        "files": [
            {"filename": "a-1.0-py3-none-any.whl", "upload-time": "2024-01-05T00:00:00Z", "requires-python": ">=3.8"},
            {"filename": "a-2.0.tar.gz", "upload-time": 7, "requires-python": "of wood", "yanked": "broken"},
            {"filename": 3},
            "a-3.0.tar.gz",
        ]
    }
    first, second = files_of_json(page)
    assert (first.name, first.yanked, first.python) == ("a-1.0-py3-none-any.whl", False, ">=3.8")
    assert first.uploaded == datetime.datetime(2024, 1, 5, tzinfo=datetime.UTC)
    assert (second.uploaded, second.yanked, second.python) == (None, True, "")
    assert files_of_json(["files"]) == files_of_json({"files": 1}) == []


def test_the_backends_of_a_package_are_taken_into_its_releases() -> None:
    """In the order of the call; a package without a backend needs a name."""
    specs = chosen(["jax==0.4.20", "jax==0.6.2"], choice_of(None, None, None, False))
    names = [e.name for e in backends_of("jax")]
    assert {"jax.nn", "jax.numpy"} <= set(names)
    assert [e.name for e in within_releases(specs, [])] == [f"{n}[{s.text}]" for s in specs for n in names]
    with pytest.raises(UsageError, match="no backend is known"):
        within_releases([parse("requests==2.0")], [])
    with pytest.raises(UsageError, match="names an environment"):
        within_releases(specs, ["numpy[numpy==2.0]"])
