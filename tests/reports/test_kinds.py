"""Conventions, stability and the kill matrix are records like findings: one reader, one page, and runs that go together."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from every_kind import ACCUSED, BITS, CONVENTIONS, CURVE, DIFFERS, EVERY, KILLED, MUTANTS, STABILITY, SURVIVES

from bnspec.cli import main
from bnspec.errors import UsageError
from bnspec.reports.page.page import build_page
from bnspec.reports.run.codec import BrokenRecord, decode, encode, to_json
from bnspec.reports.run.merge import merge
from bnspec.reports.run.records import Record
from bnspec.reports.run.stability import (
    Reach,
    StabilityPoint,
)
from bnspec.reports.run.store import read_run

WriteRun = Callable[..., Path]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "record", [*BITS, *(r for records in EVERY.values() for r in records)], ids=lambda r: type(r).__name__
)
def test_a_record_survives_its_line(record: Record) -> None:
    """Written, read and written again it is the same line: infinities, tuples and renamed fields included."""
    line = encode(record)
    assert type(decode(line)) is type(record)
    assert encode(decode(line)) == line
    json.loads(line, parse_constant=pytest.fail)


def test_the_class_of_a_curve_is_called_class_in_json() -> None:
    """`class` is a reserved word of Python, not of JSON."""
    said = to_json(CURVE)
    assert said["class"] == 1
    assert "stability_class" not in said


def test_a_mutant_s_line_is_what_the_command_prints_of_it() -> None:
    """The line begins with its kind, "mutant" or "variant", as the document of `bnspec mutants --json` says it."""
    assert [to_json(r)["kind"] for r in (KILLED, ACCUSED)] == ["mutant", "variant"]


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (DIFFERS, {"agreement": "undecided"}),
        (DIFFERS, {"agreement": "perhaps"}),
        (DIFFERS, {"cases": ["../secret.json"]}),
        (CURVE, {"with_kappa": None}),
        (CURVE, {"class": 3}),
        (CURVE, {"p": {**to_json(CURVE)["p"], "exponent": None}}),
        (CURVE, {"with_kappa": {**to_json(CURVE)["with_kappa"], "good": [1.0]}}),
        (CURVE, {"with_kappa": {**to_json(CURVE)["with_kappa"], "places": [0.0, 1.0, 2.0]}}),
        (STABILITY[0], {"status": "error"}),
        (STABILITY[0], {"kappa": ["many"]}),
        (KILLED, {"cases_to_first_kill": 0}),
        (KILLED, {"seeds_as_it_should_be": 3}),
        (ACCUSED, {"expected": ["training.output"]}),
        (MUTANTS[3], {"mistrusted": True}),
        (MUTANTS[3], {"kills": 0}),
    ],
    ids=lambda v: str(v) if isinstance(v, dict) else type(v).__name__,
)
def test_a_record_that_contradicts_itself_is_refused(record: Record, changes: dict[str, Any]) -> None:
    """The twin without the changes is accepted."""
    assert decode(json.dumps(to_json(record)).encode())
    with pytest.raises(BrokenRecord):
        decode(json.dumps({**to_json(record), **changes}).encode())


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("conventions", ["2 conventions inferred, 1 against the declaration; 0 of 1 translations hold"]),
        (
            "conventions",
            ["0.1 under 0, 9e3 under 1", "both explain y", "epsilon' = float32(epsilon)", "beyond its bound"],
        ),
        (
            "stability",
            ["How the errors of 1 backend grow", "5,200", "y against kappa", "x of dtype float16 is not offered"],
        ),
        ("mutants", ["1 of 2 mutants killed, 1 by a clause of their own; 0 of 1 correct variants not accused"]),
        ("mutants", ["Mistrusted", "running.var", "Sums in blocks.", "ratio ∞: y is NaN", "350 cases over 2 seeds"]),
    ],
)
def test_a_run_of_each_kind_has_a_page(kind: str, words: list[str], write_run: WriteRun) -> None:
    """Its records leave their words on it; sections without records are absent."""
    page = build_page([read_run(write_run(*EVERY[kind]))], {})
    text = " ".join(page.replace("&#39;", "'").split())
    assert [w for w in words if w not in text] == []
    assert {name for name in EVERY if f'<section id="{name}"' in page} == {kind}


def test_runs_of_all_kinds_share_a_page_and_a_summary(
    write_run: WriteRun, sample: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Findings, timings, conventions, stability and the kill matrix side by side, of the same target too."""
    paths = [str(write_run(*records, name=kind)) for kind, records in EVERY.items()]
    paths.insert(0, str(write_run(sample.target("alpha"), sample.finding("alpha"), name="verify")))
    paths.insert(1, str(write_run(sample.target("alpha"), sample.timing("alpha"), name="bench")))
    assert main(["report", *paths, "--out", str(tmp_path / "public")]) == 0
    said = capsys.readouterr().out
    page = (tmp_path / "public" / "index.html").read_text("utf-8")
    for name in ("matrix", "timings", *EVERY):
        assert f'<section id="{name}"' in page
        assert f'href="#{name}"' in page
    assert "alpha@cpu  running_correction: declared 1, inferred 0" in said
    assert "variant sums_in_blocks on 1 of 2 seeds: killed by training.output" in said
    assert "0.98 [0.9, 1.1] 11" in said
    places = [word.partition('"')[0] for word in page.split(' id="')[1:]]
    assert len(places) == len(set(places))


def test_a_backend_has_one_style_on_the_whole_page(write_run: WriteRun, sample: Any) -> None:
    """Colour and marker of a backend are the same beside its times and on its stability curves, over several runs."""
    timed = write_run(*(sample.timing(b) for b in ("aardvark", "alpha", "beta")), name="bench")
    page = build_page([read_run(timed), read_run(write_run(CURVE, name="stability"))], {})
    keys = re.findall(r'<svg class="key (k\d v\d)"[^>]*>(?:(?!</svg>).)*</svg>\s*(?:<span>)?([\w@.]+)', page)
    alpha = {style for style, name in keys if name.partition("@")[0] == "alpha"}
    assert alpha == {"k1 v0"}
    assert len([name for _, name in keys if name.partition("@")[0] == "alpha"]) >= 2


def test_hostile_texts_stay_texts(write_run: WriteRun) -> None:
    """Names, reasons and messages of every kind come from outside; none becomes markup."""

    def hostile(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {
                "kind",
                "class",
                "agreement",
                "how",
                "purpose",
                "status",
                "sweep",
                "level",
                "cases",
                "case",
                "ratio",
                "device",
                "to_device",
            }
            own = {k: f"{HOSTILE}.py:Adapter" for k in ("backend", "to_backend") if k in value}
            return {k: own[k] if k in own else v if k in kept else hostile(v) for k, v in value.items()}
        if isinstance(value, list):
            return [hostile(v) for v in value]
        return HOSTILE if isinstance(value, str) and value not in ("float32", "inf", "nan", "y") else value

    listed = [
        decode(json.dumps(hostile(to_json(r))).encode()) for rs in EVERY.values() for r in rs if r is not SURVIVES
    ]
    page = build_page([read_run(write_run(*listed))], {})
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") > 20


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([DIFFERS], r"both hold running_correction of alpha@cpu"),
        ([CONVENTIONS[-1]], r"both hold the translation from alpha@cpu to beta@cpu for inference"),
        ([CURVE], r"both hold the curve of y, float32, rank 2, of alpha"),
        ([KILLED], r"both hold what the suite says of epsilon_outside_root"),
        ([MUTANTS[3]], r"both hold the kills of epsilon\.inside_root"),
    ],
    ids=["convention", "translation", "stability", "mutant", "clause"],
)
def test_two_runs_that_say_the_same_thing_are_refused(records: list[Record], words: str, write_run: WriteRun) -> None:
    """One page says one thing of a cell."""
    runs = [read_run(write_run(*records, name=name)) for name in ("one", "two")]
    with pytest.raises(UsageError, match=words):
        merge(runs)


def test_of_two_studies_the_farther_reach_counts(write_run: WriteRun) -> None:
    """How far data of a dtype reach is said once, whatever backends were measured."""
    runs = [read_run(write_run(Reach("float32", far, None), name=f"run{far:g}")) for far in (1e6, 1e7, 1e5)]
    assert [r.largest for r in merge(runs).reaches] == [1e7]


def test_a_torn_last_line_of_a_study_leaves_its_points(write_run: WriteRun) -> None:
    """A study that was killed while it wrote keeps what it had measured."""
    path = write_run(STABILITY[0], CURVE, finished=False)
    text = (path / "records.jsonl").read_bytes()
    (path / "records.jsonl").write_bytes(text[:-20])
    run = read_run(path)
    assert (len(run.of(StabilityPoint)), run.stability_curves, run.complete) == (1, (), False)


def test_the_document_has_the_new_kinds_where_there_are_any(
    write_run: WriteRun, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bnspec report --json`: what it had before, and these."""
    assert main(["report", str(write_run(*MUTANTS)), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [m["name"] for m in document["mutants"]] == ["epsilon_outside_root", "beta_twice"]
    assert "conventions" not in document
    assert document["findings"] == []


def test_thousands_of_records_are_read_in_no_time(write_run: WriteRun, sample: Any) -> None:
    """20,000 lines in seconds on any machine."""
    path = write_run(finished=False)
    line = encode(sample.finding("alpha"))
    with (path / "records.jsonl").open("ab") as file:
        file.writelines(line.replace(b'"alpha"', b'"alpha%d"' % n) + b"\n" for n in range(20_000))
    started = time.perf_counter()
    assert len(read_run(path).findings) > 20_000
    assert time.perf_counter() - started < 5.0
