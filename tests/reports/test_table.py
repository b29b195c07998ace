"""The terminal's summary: everything is said, in plain lines where there is no terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bnspec.reports.run.records import DeclinedCases
from bnspec.reports.run.store import read_run
from bnspec.reports.summary.counts import standings, tally
from bnspec.reports.summary.declined import much_declined
from bnspec.reports.tables import run as summary
from bnspec.reports.tables.run import print_summary

WriteRun = Callable[..., Path]


def plain(path: Path, encoding: str = "utf-8", width: int = 100) -> str:
    """The summary of a run where output is not a terminal."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, write_through=True) as file:
        print_summary(read_run(path), Console(file=file, width=width, color_system=None))
        return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    "words",
    [
        "alpha@cpu",
        "✓ 0.5",
        "✗ 1 of 1",
        "– 1",
        "MUST   training.output  beta@cpu  ratio 2  1 of 3 cases",
        "SHOULD running.var  beta@cpu  ratio ∞  1 of 3 cases  (known)",
        "y is off",
        "A MAY is recorded and requires nothing; declined counts clauses whose cases it does not offer.",
        "documented difference: documented by its authors.",
        "! crashed  beta@cpu  cases/0.json step 0  signal 11",
        "alpha@cuda  absent: no driver was found",
        "training, 4 × 2 float32, channels on axis 1",
        "110 ns",
        "not offered",
    ],
)
def test_the_summary_says(words: str, write_run: WriteRun) -> None:
    """Each kind of record leaves its line."""
    assert words in plain(write_run())


def test_a_deviation_has_the_ratio_of_the_case_that_is_shown(write_run: WriteRun, sample: Any) -> None:
    """The worst of all cases may have another, which would contradict the message below it."""
    text = plain(write_run(sample.target("beta"), sample.deviation("beta", ratio=77.0)))
    assert "training.output  beta@cpu  ratio 2  1 of 3 cases" in text
    assert "ratio 77" not in text


def test_without_a_terminal_there_is_no_escape_and_no_frame_and_no_long_line(write_run: WriteRun) -> None:
    """A log file stays readable."""
    text = plain(write_run())
    assert "\x1b" not in text
    assert not set(text) & set("─│┌┐└┘━┃╭╮╰╯")
    assert max(map(len, text.splitlines())) <= 100


def test_an_ascii_stream_gets_ascii(write_run: WriteRun) -> None:
    """A console that cannot show the symbols gets their twins instead of an error."""
    text = plain(write_run(), "ascii")
    assert "ok 0.5" in text
    assert "X 1 of 1" in text
    assert "ratio inf" in text


def test_many_families_are_split_over_several_tables(write_run: WriteRun, sample: Any) -> None:
    """No cell is cut off: what does not fit beside the others gets a table of its own."""
    names = [f"family_number_{i}" for i in range(20)]
    text = plain(write_run(*(sample.finding("alpha", family=n) for n in names[:1]), *_clauses(sample, names)))
    assert all(name.replace("_", " ") in text for name in names)
    assert "…" not in text


def _clauses(sample: Any, names: list[str]) -> list[Any]:
    return [sample.finding("alpha" if i else "beta", family=n) for i, n in enumerate(names)] + [
        sample.finding(f"target{i}", family=n) for i, n in enumerate(names)
    ]


def test_hostile_texts_are_not_read_as_markup(write_run: WriteRun, sample: Any) -> None:
    """Square brackets mean something to the library that prints; not in our data."""
    assert "[bold]loud[/nothing]" in plain(write_run(sample.deviation("beta", message="[bold]loud[/nothing]")))


def test_a_run_cut_short_says_so(write_run: WriteRun, sample: Any) -> None:
    """Its summary is not taken for the whole."""
    assert "cut short" in plain(write_run(sample.finding("alpha"), finished=False))
    assert "cut short" not in plain(write_run(sample.finding("alpha"), name="whole"))


def test_only_a_must_makes_a_target_deviate(write_run: WriteRun, sample: Any) -> None:
    """A SHOULD that is not met is said, and nothing more."""
    path = write_run(sample.finding("alpha"), sample.deviation("alpha", "running.var"))
    [standing] = standings(read_run(path))
    assert standing.verdict == "conforms"
    assert standing.sentence == "conforms to every MUST judged, 1 SHOULD not met"


def test_a_target_of_which_nothing_was_judged_does_not_conform(write_run: WriteRun, sample: Any) -> None:
    """Declining everything is no achievement."""
    [standing] = standings(read_run(write_run(sample.finding("alpha", verdict="declined", cases=0, ratio=None))))
    assert standing.verdict == "not_exercised"
    assert standing.sentence == "no MUST was judged"


def test_the_worst_ratio_of_a_tally_may_be_infinite(sample: Any) -> None:
    """The word "inf" outweighs every number."""
    assert tally([sample.finding(), sample.deviation(ratio="inf"), sample.deviation(ratio=1e9)]).ratio == "inf"


def test_what_was_declined_is_printed_with_its_reason(write_run: WriteRun, sample: Any) -> None:
    """One line for each reason, the most frequent first, over all targets."""

    def declining(backend: str, clause: str, declined: int, reason: str, **changes: Any) -> Any:
        reasons = (DeclinedCases(reason, declined),)
        return sample.finding(backend, clause, declined=declined, reasons=reasons, **changes)

    half, mask = "x of dtype float16 is not supported", "this layer takes no mask"
    path = write_run(
        declining("alpha", "training.output", 1, mask),
        declining("alpha", "running.var", 4, half),
        declining("beta", "training.output", 2, half, verdict="declined", cases=0, ratio=None),
    )
    lines = [" ".join(text.split()) for text in plain(path).splitlines()]
    many, few = f"6 {half} (2 clauses; alpha@cpu, beta@cpu)", f"1 {mask} (1 clause; alpha@cpu)"
    assert lines.index(many) < lines.index(few)


def test_reasons_and_targets_that_are_left_out_are_counted(
    write_run: WriteRun, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the call that lists them."""
    monkeypatch.setattr(summary, "OTHERS", 1)
    reasons = (DeclinedCases("no masks", 2), DeclinedCases("no half", 1))
    path = write_run(*(sample.finding(name, declined=3, reasons=reasons) for name in ("alpha", "beta", "gamma")))
    said = " ".join(plain(path).split())
    assert "6 no masks (1 clause; alpha@cpu and 2 more)" in said
    assert f"and 1 more reasons: bnspec report {path} --json" in said


@pytest.mark.parametrize(("declined", "said"), [(0, ""), (1, ""), (2, "25 % of what was asked was declined")])
def test_the_headline_says_that_a_quarter_was_declined(
    declined: int, said: str, write_run: WriteRun, sample: Any
) -> None:
    """Of eight cases two, or of seven one."""
    path = write_run(sample.finding("alpha"), sample.finding("alpha", "running.var", declined=declined))
    [standing] = standings(read_run(path))
    assert standing.sentence == ", ".join(["conforms to every MUST judged", *([said] if said else [])])


def test_the_headline_names_families_that_were_declined_as_a_whole(sample: Any) -> None:
    """However few their cases are; a family with a judged clause is none."""
    none: dict[str, Any] = {"verdict": "declined", "cases": 0, "ratio": None, "declined": 1}
    declined = [sample.finding(family=f, **none) for f in ("mask", "mask", "running", "second_order")]
    judged = [sample.finding(cases=396), sample.finding(clause="running.var")]
    words = "1 % of what was asked was declined, all of mask and second_order"
    assert much_declined([*judged, *declined]) == words


def test_reasons_account_for_what_was_declined(sample: Any) -> None:
    """Two cases declined, one of them for no recorded reason, are refused."""
    with pytest.raises(ValueError, match="do not account"):
        sample.finding(declined=2, reasons=(DeclinedCases("none", 1),)).__post_init__()
