"""Watching a package: which two releases are compared, and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from bnspec.backends.harness.environments.releases import Release
from bnspec.cli import main
from bnspec.conformance.releases import watch
from bnspec.conformance.releases.watch import read_state, watched, write_state, write_summary
from bnspec.errors import HarnessError, UsageError

LISTED = tuple(
    Release(Version(v), None, v == "0.5.1", (">=3.8",)) for v in ("0.4.9", "0.4.10", "0.5.0", "0.5.1", "0.6.0rc1")
)


@pytest.fixture(autouse=True)
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index in which the newest usual release is 0.5.0: 0.5.1 was yanked, and 0.6.0 is not out."""
    monkeypatch.setattr(watch, "listed_releases", lambda package: LISTED if package == "jax" else LISTED[:1])


@pytest.mark.parametrize(
    ("last", "specs"),
    [(None, ("jax==0.4.10", "jax==0.5.0")), ("0.4.9", ("jax==0.4.9", "jax==0.5.0")), ("0.5.0", ())],
)
def test_the_newest_is_compared_with_the_last(last: str | None, specs: tuple[str, ...]) -> None:
    """Which is the one before it, unless another was looked at; what was looked at already is not again."""
    assert watched("jax", last).specs == specs


@pytest.mark.parametrize("package", ["jax==0.4.9", "jax,flax", "/usr/bin/python3"])
def test_only_a_name_is_watched(package: str) -> None:
    """Not a release, nor several packages."""
    with pytest.raises(UsageError):
        watched(package, None)


def test_a_name_is_what_the_index_makes_of_it() -> None:
    """Capitals, underscores and dots are no other package."""
    assert watched("JAX", None) == watched("jax", None)
    assert watched("scikit_learn", "0.4.9").package == watched("Scikit.Learn", "0.4.9").package == "scikit-learn"


def test_releases_that_are_none_are_refused() -> None:
    """One that is no version, one that has not appeared; and a package with one release has none before it."""
    for last in ("now", "0.5.1"):
        with pytest.raises(UsageError, match="is no release|newer than every release"):
            watched("jax", last)
    with pytest.raises(HarnessError, match="no two releases"):
        watched("flax", None)


def test_what_was_looked_at_is_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And where it is the newest, nothing is run. A file that holds something else is refused."""
    state = tmp_path / "jax.txt"
    assert read_state(state) is None
    write_state(state, "0.5.0")
    assert read_state(state) == "0.5.0"
    assert main(["watch", "jax", "--state", str(state)]) == 0
    assert "jax 0.5.0 is the newest release" in capsys.readouterr().out
    state.write_bytes(b"\xff no release")
    with pytest.raises(UsageError, match="cannot be read"):
        read_state(state)
    assert list(tmp_path.iterdir()) == [state]


def test_a_job_gets_its_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Added to what stands there; outside of a job, nothing is written."""
    monkeypatch.delenv(watch.SUMMARY, raising=False)
    write_summary("lost")
    place = tmp_path / "summary.md"
    monkeypatch.setenv(watch.SUMMARY, str(place))
    for text in ("one\n", "two\n"):
        write_summary(text)
    assert place.read_text("utf-8") == "one\ntwo\n"
