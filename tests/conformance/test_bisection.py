"""Bisection over a toy package of twelve releases: behaviour, convention and speed, and what does not change once."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence

import pytest
import toy_releases
from toy_releases import PACKAGE, RELEASES

from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import own
from bnspec.cli import main
from bnspec.conformance.bisection.bisect import Asked, Bisection, Built, NotThere, bisect
from bnspec.conformance.bisection.environments import with_range
from bnspec.conformance.bisection.question import (
    CaseQuestion,
    ClauseQuestion,
    ConventionQuestion,
    SpeedQuestion,
    timed_case,
)
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case

CASES = [batch_norm_case(Plan(Form((2, 3), 1), "narrow", epsilon=1.0, seed=12))]
Search = Callable[..., Bisection]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """Bisects the toy package: each release is installed from its wheel into a folder of its own."""
    folder = tmp_path_factory.mktemp("toy")
    toy_releases.wheels(folder)
    entry = own(toy_releases.adapter(folder))

    def build(requirements: Sequence[str], missing: Sequence[str]) -> Built:
        (requirement,) = requirements
        if requirement.partition("==")[2] in missing:
            raise NotThere("no wheel fits")
        place = folder / requirement
        if not place.exists():
            (wheel,) = folder.glob(f"{requirement.replace('==', '-')}-*.whl")
            zipfile.ZipFile(wheel).extractall(place)  # which is all that installing a wheel of Python files is
        name, _, version = requirement.partition("==")
        return Built(lambda: Worker(entry, "cpu", environment={"PYTHONPATH": str(place)}), {name: version})

    def search(asked: Asked, missing: Sequence[str] = ()) -> Bisection:
        return bisect(PACKAGE, RELEASES, asked, lambda words: build(words, missing), lambda release, doing: None)

    return search


def test_a_changed_behaviour_is_found_by_its_clause_in_at_most_five_steps(toy: Search) -> None:
    """Epsilon left the root in 1.7; nothing else is installed, so it is the package itself."""
    done = toy(lambda first: ClauseQuestion("epsilon.inside_root_in_training", CASES))
    assert (done.to_json()["last_before"], done.to_json()["first_after"]) == ("1.6", "1.7")
    assert done.found.steps <= 5
    assert done.found.monotonic
    assert done.isolation is not None
    assert done.isolation.origin == "package"
    assert done.found.answer(7).value == "deviates"
    assert done.found.answer(7).asked == 2


@pytest.mark.slow
def test_a_release_that_cannot_be_built_is_stepped_over_and_said(toy: Search) -> None:
    """The change is in it or in the next one."""
    done = toy(
        lambda first: CaseQuestion(CASES[0], ["epsilon.inside_root_in_training"], repeated=False), missing=["1.7"]
    )
    assert (done.to_json()["last_before"], done.to_json()["first_after"]) == ("1.6", "1.8")
    assert done.to_json()["skipped"] == ["1.7"]
    assert "1.7" in done.sentence


@pytest.mark.slow
def test_what_changes_twice_is_said(toy: Search) -> None:
    """Inference forgot the shift, remembered it, and forgot it again."""
    done = toy(lambda first: CaseQuestion(CASES[0], ["inference.output"], repeated=False))
    assert not done.found.monotonic
    assert "not the only change" in done.sentence


@pytest.mark.slow
def test_a_changed_convention_is_found(toy: Search) -> None:
    """The running variance has n - 1 from 1.4 on."""
    done = toy(lambda first: ConventionQuestion("running_correction"))
    assert (done.to_json()["last_before"], done.to_json()["first_after"]) == ("1.3", "1.4")
    assert [done.found.answer(i).value for i in (3, 4)] == ["0", "1"]
    assert done.found.steps <= 5


@pytest.mark.slow
def test_a_slower_release_is_found(toy: Search) -> None:
    """A call takes twice as long from 1.9 on: found by processes that take turns with those of the oldest."""
    done = toy(lambda first: SpeedQuestion(1.2, timed_case((64, 32)), first))
    assert (done.to_json()["last_before"], done.to_json()["first_after"]) == ("1.8", "1.9")
    assert done.found.steps <= 5


@pytest.mark.parametrize(
    "words",
    [
        ["bisect", "jax>=0.4.13"],
        ["bisect", "jax>=0.4.13", "--clause", "running.var", "--slower", "1.2"],
        ["bisect", "jax>=0.4.13", "--clause", "running"],
        ["bisect", "jax>=0.4.13", "--convention", "momentum_weighs"],
        ["bisect", "jax>=0.4.13", "--convention", "nothing"],
        ["bisect", "jax>=0.4.13", "--case", "nowhere.json"],
        ["bisect", "jax==0.4.13", "--slower", "1.2"],
        ["bisect", "jax @ https://example.org/jax.whl", "--slower", "1.2"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_refused_before_anything_is_built(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, with what, why and fix."""
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "Why:" in said
    assert "Fix:" in said


@pytest.mark.parametrize(
    ("text", "searched"),
    [("jax>=0.5", "jax>=0.5"), ("nowhere", "nowhere"), ("/usr/bin/python3", "/usr/bin/python3")],
)
def test_a_range_that_is_given_is_searched(text: str, searched: str) -> None:
    """And what has none because nobody knows one is left to the index."""
    assert with_range(text) == searched


def test_a_package_without_a_range_means_what_its_backends_are_written_for() -> None:
    """What follows it stays."""
    (folder,) = (f for f in backend_folders() if f.name == "jax")
    (requirement,) = folder.packages
    assert requirement.startswith("jax>=")
    assert with_range("jax,flax==0.10.2;python=3.11") == f"{requirement},flax==0.10.2;python=3.11"
