"""Timings on the terminal: bars, intervals, and every width."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmark_records import benchmark_records
from rich.console import Console

from bnspec.reports.run.records import RunFinished
from bnspec.reports.run.store import read_run
from bnspec.reports.tables.run import print_summary
from bnspec.reports.tables.timings import accounting

WriteRun = Callable[..., Path]
RECORDS = benchmark_records(processes=2, samples=5)


def printed(path: Path, width: int = 100, encoding: str = "utf-8") -> str:
    """What a console of this width and encoding shows of a run."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, write_through=True) as file:
        print_summary(read_run(path), Console(file=file, width=width, color_system=None))
        return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_every_width_shows_every_contender_and_cuts_nothing(width: int, encoding: str, write_run: WriteRun) -> None:
    """Long names are broken, columns are left out; no ellipsis and no line beyond the edge."""
    text = printed(write_run(*RECORDS), width, encoding)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    assert "numpy" in text


@pytest.mark.parametrize(("encoding", "bar"), [("utf-8", "█"), ("ascii", "#")])
def test_eighty_columns_have_room_for_bars_and_intervals(encoding: str, bar: str, write_run: WriteRun) -> None:
    """The usual terminal."""
    lines = printed(write_run(*RECORDS), 80, encoding).splitlines()
    row = next(line for line in lines if line.startswith("numpy@cpu"))
    assert bar * 4 in row
    assert "[" in row
    assert "%" in row


def test_a_name_is_broken_before_its_conditions(write_run: WriteRun) -> None:
    """And not within them."""
    assert "\n[threads=1]" in printed(write_run(*RECORDS), 80)


def test_a_rejected_row_is_compared_with_nothing(write_run: WriteRun, sample: Any) -> None:
    """Its samples are not of the work, whatever a comparison says."""
    rejected = sample.timing("beta", verdict="rejected", probes={"computes_every_call": "old results"})
    text = printed(write_run(sample.timing(), rejected, sample.comparison(verdict="FASTER")))
    assert "FASTER" not in text
    assert "beta@cpu: computes every call: old results" in text


def test_the_account_leaves_imports_and_compilation_out() -> None:
    """timed / (wall - open - first_calls)."""
    seconds = {"wall": 60.0, "open": 12.0, "first_calls": 8.0, "timed": 30.0}
    [said] = accounting(RunFinished("", 0, seconds))
    assert said.startswith("75% of 40 s went into timed and warm-up calls")
    assert accounting(RunFinished("", 0, {"wall": 60.0})) == []
    assert accounting(None) == []


@pytest.mark.parametrize(
    "words",
    [
        "111 ns",
        "✗ rejected",
        "delta@cpu: computes every call: it gave the old results",
        "18×!",
        "? 1.05 [0.97, 1.13] AMBIGUOUS (+7)",
        "Time relative to alpha@cpu",
        "Detectable: 1.12.",
    ],
)
def test_the_tables_say(words: str, write_run: WriteRun, sample: Any) -> None:
    """Medians over processes, objections, the roof, and comparisons with what they lack."""
    assert words in printed(write_run(*sample.timed()))
