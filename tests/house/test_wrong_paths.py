"""Paths that cannot be followed, read or written: what, Why and Fix, exit status 2, and nothing half-written."""

from __future__ import annotations

import errno
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from large_run import write_large_run

from bnspec.cli import bnspec as group
from bnspec.cli import main

THREE = r"bnspec [a-z]+: .+\n  Why:  .+\n  Fix:  .+\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small run in the current folder, with a loop of links beside it, and some inside."""
    monkeypatch.chdir(tmp_path)
    write_large_run(tmp_path / "run", 2, 8, cases=2)
    write_large_run(tmp_path / "broken", 2, 8, cases=2)
    Path("corpus").mkdir()
    for place in ("loop", "corpus/loop.json", "broken/records.jsonl"):
        Path(place).unlink(missing_ok=True)
        Path(place).symlink_to(Path(place).name)
    return tmp_path / "run"


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The message of a call that is wrong."""
    status, said = main(words), capsys.readouterr()
    assert status == 2, said.err
    assert re.fullmatch(THREE, said.err), said.err
    return said.err


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "loop"],
        ["report", "loop"],
        ["report", "broken"],
        ["causes", "broken"],
        ["verify", "numpy", "--corpus", "corpus"],
        ["export", "run", "--to", "csv", "--out", "loop"],
        ["export", "run", "--to", "asv", "--out", "loop"],
        ["plan", "--backend", "numpy", "--as", "slurm", "--out", "loop"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("run")
def test_a_loop_of_links_is_a_wrong_call(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Up to Python 3.12 it is a RuntimeError, which is no error of the system."""
    there = sorted(Path().rglob("*"))
    refused(words, capsys)
    assert sorted(Path().rglob("*")) == there


DENIED = PermissionError(errno.EACCES, "Permission denied", "run/cases/0.json")


@pytest.mark.parametrize(
    ("words", "error", "status"),
    [
        (["causes", "run"], DENIED, 2),
        (["causes", "./run/"], DENIED, 2),
        (["causes", "ru"], DENIED, 3),
        (["causes", "."], PermissionError(errno.EACCES, "Permission denied", "/var/lib/elsewhere"), 3),
        (["causes", "run"], OSError(errno.ENOSPC, "No space left on device", "run/cases/0.json"), 3),
        (["causes", "run"], PermissionError(errno.EPERM, "Operation not permitted"), 3),
    ],
    ids=str,
)
def test_a_path_of_the_call_that_is_denied_is_a_wrong_call(
    words: list[str], error: OSError, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any other path, and any other refusal, is the machine's."""

    def fails(*_: Any, **__: Any) -> int:
        raise error

    command = group.get_command(click.Context(group), "causes")
    assert command is not None
    monkeypatch.setattr(command, "callback", fails)
    assert main(words) == status
    assert re.fullmatch(THREE, capsys.readouterr().err)


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/nowhere", "run/manifest.json/x"])
@pytest.mark.usefixtures("run")
def test_a_folder_that_cannot_be_made_is_a_wrong_call(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of every command that writes one."""
    for words in (["new", "mine"], ["repro", "run"], ["report", "run"], ["vectors", "--family", "layout"]):
        refused([*words, "--out", place], capsys)


def test_what_was_written_of_a_package_goes_where_the_rest_cannot_be(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the folders that were made for it; those that were there stay."""
    written = Path.write_text
    there = sorted(run.parent.rglob("*"))

    def some(path: Path, *words: Any) -> int:
        if path.name == "conftest.py":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return written(path, *words)

    monkeypatch.setattr(Path, "write_text", some)
    refused(["new", "mine", "--out", "corpus/a/b"], capsys)
    assert sorted(run.parent.rglob("*")) == there


def test_an_unreadable_corpus_is_not_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run without its cases would look complete."""

    def denied(path: Path) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert "cannot be read" in refused(["verify", "numpy", "--corpus", str(tmp_path)], capsys)


@pytest.mark.parametrize("name", ["none", "true", "exception", "layer", "state"])
def test_a_backend_takes_no_name_of_pythons_or_the_contracts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its adapter's class would be that."""
    refused(["new", name], capsys)


def test_the_call_that_new_prints_can_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the folder has a blank in its name."""
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--out", "a b"]) == 0
    call = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert call == ["bnspec", "verify", "--backend", "a b/bnspec_mine/adapter.py:Mine"]


@pytest.mark.parametrize(
    "words",
    [
        ["environments", "make", "jax==0.4.20;python=../../x"],
        ["environments", "make", "jax==0.4.20,/usr/bin/python"],
        ["environments", "make", "../../x"],
        ["environments", "make", "./run"],
        ["verify", "numpy[../../x]", "--clause", "epsilon"],
        ["verify", "numpy[/dev/null]", "--clause", "epsilon"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("run")
def test_a_path_at_which_no_python_is_makes_no_environment(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And a specification with a mistake in it is not taken for such a path."""
    refused(words, capsys)
    assert not Path("runs").exists()


@pytest.mark.parametrize("place", [["--out", "mine"], []], ids=str)
@pytest.mark.parametrize(
    "words",
    [
        ["verify", "./nope.py:X"],
        ["verify", "numpy", "./nope.py:X"],
        ["verify", "numpy", "loop.py:X"],
        ["verify", "os:system"],
        ["verify", "no_such_module:X"],
        ["verify", "empty.py:Nope"],
        ["stability", "./nope.py:X", "--quick"],
        ["stability", "empty.py:Nope", "--quick"],
        ["bench", "./nope.py:X", "--rounds", "1"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("run")
def test_an_adapter_that_is_not_there_leaves_no_run(
    words: list[str], place: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The corrected call may name the same folder."""
    Path("empty.py").write_text("")
    Path("loop.py").symlink_to("loop.py")
    there = sorted(p for p in Path().rglob("*") if "__pycache__" not in str(p))
    status, said = main([*words, *place]), capsys.readouterr().err
    assert status == 2
    assert re.search(THREE + r"\Z", said), said
    assert sorted(p for p in Path().rglob("*") if "__pycache__" not in str(p)) == there
