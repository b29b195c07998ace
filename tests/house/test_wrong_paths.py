"""Paths that cannot be followed, read or written: what, Why and Fix, exit status 2, and nothing half-written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from large_run import write_large_run

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
