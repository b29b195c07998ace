"""What compiling frameworks keep on disk: for verifications, never for timings, and said without a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bnspec.backends.harness.compilation_cache import cache_folder, cold, compiles, open_cache, remove_oldest
from bnspec.backends.harness.folders import backend_folders
from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.limits import Limits
from bnspec.backends.harness.registry import select
from bnspec.backends.harness.targets import Target
from bnspec.benchmarks.timing.contender import Contender
from bnspec.conformance.run.verify import VerifyRequest, verify

PLACES = [n for f in backend_folders() for n, text in f.compilation_cache.items() if text == "{folder}"]


def test_the_cache_is_in_the_users_cache_folder(tmp_path: Path) -> None:
    """XDG_CACHE_HOME is asked; the first run finds nothing, the next what was kept."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    first = open_cache(environ=environ)
    assert first.state == "cold"
    assert PLACES
    assert {first.environment[n] for n in PLACES} == {str(cache_folder(environ))}
    assert cache_folder(environ).is_relative_to(tmp_path)
    (cache_folder(environ) / "entry").write_bytes(b"program")
    assert open_cache(environ=environ).state == "warm"


def test_what_the_user_has_set_stays(tmp_path: Path) -> None:
    """A place of the user's own is used, and its state is the one that is said."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "entry").write_bytes(b"program")
    environ = {"XDG_CACHE_HOME": str(tmp_path), **dict.fromkeys(PLACES, str(own))}
    opened = open_cache(environ=environ)
    assert {opened.environment[n] for n in PLACES} == {str(own)}
    assert opened.state == "warm"


def test_no_cache_is_off(tmp_path: Path) -> None:
    """Where it is not wanted, where the user has forbidden it, and where its folder cannot be written."""
    environ = {"XDG_CACHE_HOME": str(tmp_path)}
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    for opened in (
        open_cache(wanted=False, environ=environ),
        open_cache(environ={**environ, **cold()}),
        open_cache(environ={"XDG_CACHE_HOME": str(blocked)}),
    ):
        assert (opened.state, opened.environment) == ("off", cold())
    assert not (tmp_path / "bnspec").exists()


def test_the_oldest_entries_are_removed(tmp_path: Path) -> None:
    """The cache does not grow without end."""
    for age, name in enumerate(("new", "old", "older")):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    remove_oldest(tmp_path, 250)
    assert {p.name for p in tmp_path.iterdir()} == {"new", "old"}
    remove_oldest(tmp_path / "absent", 0)


def test_processes_that_are_timed_compile_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the user's environment says: the first call of a timing is cold."""
    monkeypatch.setenv("BNSPEC_TEST", "1")
    given: dict[str, str] = {}
    monkeypatch.setattr(
        "bnspec.benchmarks.timing.contender.Worker",
        lambda entry, device, limits, environment: given.update(environment),
    )
    Contender(Target(select(["numpy"])[0], "cpu")).open()
    assert cold()
    assert cold().items() <= given.items()


def test_the_manifest_says_the_state_and_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of a run knows whether its programs were compiled in it; workers get the variables."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    environments = []

    def opened(entry: object, device: str, limits: Limits, environment: dict[str, str]) -> Worker:
        environments.append(environment)
        return Worker(entry, device, limits=limits, environment=environment)  # type: ignore[arg-type]

    monkeypatch.setattr("bnspec.conformance.run.target_run.Worker", opened)
    states = []
    for wanted in (True, False):
        request = VerifyRequest(
            ["numpy"], [], ["input.fit"], jobs=1, out=tmp_path / str(wanted), compilation_cache=wanted
        )
        run, _ = verify(request, "bnspec verify", quiet=True)
        states.append(run.manifest.options["compilation_cache"])
        assert str(tmp_path) not in str(run.manifest.options)
    assert states == ["cold", "off"]
    assert (
        open_cache(environ={"XDG_CACHE_HOME": str(tmp_path / "cache")}).environment.items() <= environments[0].items()
    )
    assert cold().items() <= environments[-1].items()


def test_adapters_of_compiling_frameworks_are_known_by_their_folders() -> None:
    """A folder with a cache, and one that stands on such a folder; a path of the user's own is not taken for one."""
    compiling = {entry.name for entry in select(["*"]) if compiles(entry.adapter)}
    assert {"jax.numpy", "flax.nnx"} <= compiling
    assert not {"numpy", "torch.nn", "tensorflow.nn"} & compiling
    assert not compiles("mine.layer:Layer")
