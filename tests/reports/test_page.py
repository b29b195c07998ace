"""The page: self-contained, well-formed, safe with hostile texts, and whole or not written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from bnspec.cli import main
from bnspec.errors import UsageError
from bnspec.model.call import INFERENCE
from bnspec.model.case import Step
from bnspec.reports.page.case import view_case
from bnspec.reports.page.page import build_page, write_page
from bnspec.reports.plots import strips as charts
from bnspec.reports.plots.palette import Style, palette
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.records import DeclinedCases
from bnspec.reports.run.store import read_run
from bnspec.reports.summary.cells import cells
from bnspec.reports.summary.document import run_document

WriteRun = Callable[..., Path]
VOID = {"meta", "br", "wbr", "input", "link", "img", "hr"}
RESOURCES = {"src", "srcset", "poster", "data", "action", "xlink:href"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
#: The file of one's own adapter may have such a name; all other names are words.
OWN = f"{HOSTILE}.py:Adapter"


class Balance(HTMLParser):
    """Checks that every element is closed in order, and collects what it met."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element that closes itself."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """An end closes what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember the text."""
        self.text += data

    @classmethod
    def of(cls, html: str) -> Balance:
        """Parse a whole page."""
        parser = cls()
        parser.feed(html)
        parser.close()
        assert not parser.open
        return parser


@pytest.fixture
def page(write_run: WriteRun, sample: Any) -> Balance:
    """The page of a run with one of everything."""
    return Balance.of(build_page([read_run(write_run())], sample.clauses))


def test_the_page_needs_nothing_but_itself(page: Balance, sample: Any) -> None:
    """No script, no style sheet, no picture and no font comes from elsewhere."""
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "img"}
    assert not [a for a in page.attributes if a[1] in RESOURCES]
    links = [value for _, name, value in page.attributes if name == "href"]
    outward = {link for link in links if not link.startswith(("#", "data:application/json;base64,"))}
    assert outward == {sample.known.link}


def test_a_known_deviation_is_shown_with_its_conditions_and_its_link(page: Balance, sample: Any) -> None:
    """Class, reason, where and in which releases; the link can be followed."""
    words = re.sub(r"\s+", " ", page.text)
    assert "Known deviation, documented difference: documented by its authors." in words
    assert "Where: a batch of one value; beta >=1,<2." in words
    assert ("a", "href", sample.known.link) in page.attributes


def test_the_style_sheet_loads_nothing(write_run: WriteRun, sample: Any) -> None:
    """Neither url() nor @import."""
    style = re.search(r"<style>(.*)</style>", build_page([read_run(write_run())], sample.clauses), re.DOTALL)
    assert style
    assert not re.search(r"url\(|@import|https?:", style[1])


def test_every_link_inside_the_page_leads_somewhere_and_no_place_is_named_twice(page: Balance) -> None:
    """Anchors exist and are unique."""
    places = [value for _, name, value in page.attributes if name == "id"]
    links = [value[1:] for _, name, value in page.attributes if name == "href" and value.startswith("#")]
    assert len(places) == len(set(places))
    assert set(links) <= set(places)


def test_every_head_of_a_table_has_a_scope(write_run: WriteRun, sample: Any) -> None:
    """Screen readers announce the row and the column of a cell."""
    html = build_page([read_run(write_run())], sample.clauses)
    assert all("scope=" in head for head in re.findall(r"<th[ >][^>]*", html))


def test_the_page_answers_who_conforms_first(page: Balance) -> None:
    """The headline counts targets that could be judged, not those that were absent."""
    assert "1 of 2 targets conforms to every MUST judged" in page.text


@pytest.mark.parametrize(
    "words",
    [
        "violates 1 MUST, 1 SHOULD not met",
        "absent: no driver was found",
        "y is right.",
        "y = g z + b",
        "Known deviation, documented difference: documented by its authors",
        "signal 11",
        "bnspec verify --seed 7",
        "x: float32, shape (4, 2)",
        "not offered",
        "worst ratio ∞",
        "training(x)",
        "strides (16, 4) bytes",
    ],
)
def test_the_page_says(words: str, page: Balance) -> None:
    """Each kind of record leaves its words on the page."""
    assert words in page.text


@pytest.mark.parametrize(
    "words",
    [
        "111 ns",
        "computes every call: it gave the old results",
        "1 of 2",
        "18×impossible",
        "1.05× [0.97, 1.13] ? AMBIGUOUS",
        "against alpha@cpu; q 0.25, 2 pairs, detectable 1.12×; 7 more processes would decide",
        "Not drawn: this run has timed no pass on two sizes.",
    ],
)
def test_the_page_says_of_timings(words: str, write_run: WriteRun, sample: Any) -> None:
    """Medians over processes, probes, roofs, comparisons with what they lack, and pictures that cannot be drawn."""
    text = Balance.of(build_page([read_run(write_run(*sample.timed()))], sample.clauses)).text
    assert words in re.sub(r"\s+", " ", text)


def hostile_evidence() -> Evidence:
    """Evidence with such words wherever it has words."""
    words = dict.fromkeys(("expected", "got", "exception"), HOSTILE)
    return Evidence(step=0, call="training", relation="equals", **words)


def hostile_known(known: KnownDeviation) -> KnownDeviation:
    """A known deviation with such words, and a link that is a script."""
    words = dict.fromkeys(("reason", "conditions", "package", "versions"), HOSTILE)
    return msgspec.structs.replace(known, link="javascript:alert(1)", **words)


def test_hostile_texts_stay_texts(write_run: WriteRun, sample: Any) -> None:
    """Backends, messages, reasons and versions come from outside; none becomes markup."""
    path = write_run(
        sample.target(OWN, status="absent", reason=HOSTILE, field=HOSTILE),
        sample.deviation(OWN, message=HOSTILE, known=(hostile_known(sample.known),), evidence=hostile_evidence()),
        sample.timing(OWN, message=HOSTILE, dtype=HOSTILE, moved_bytes=(32, 32), workload=HOSTILE),
        sample.timing(
            OWN, dtype=HOSTILE, process=1, probes={"computes_every_call": HOSTILE}, conditions={"cache": HOSTILE}
        ),
        *(sample.timing(OWN, shape=(n, 2), pass_name=HOSTILE, scans=("count",)) for n in (4, 8, 16)),
        sample.comparison(HOSTILE, baseline=HOSTILE, workload=HOSTILE),
        sample.roof(),
        sample.roof("read"),
    )
    page = Balance.of(build_page([read_run(path)], sample.clauses))
    assert not page.tags & {"script", "img"}
    assert not [a for a in page.attributes if a[1].startswith("on") or a[2].startswith("javascript:")]
    assert HOSTILE in page.text


def test_what_was_declined_stands_with_its_reason(write_run: WriteRun, sample: Any) -> None:
    """A reason is text of the backend's, so it may hold markup."""
    reasons = (DeclinedCases(HOSTILE, 3), DeclinedCases("no masks", 1))
    path = write_run(sample.finding("alpha", "running.var", declined=4, reasons=reasons))
    page = Balance.of(build_page([read_run(path)], sample.clauses))
    assert "Why cases were declined" in page.text
    assert HOSTILE in page.text
    assert "script" not in page.tags


def test_a_clause_that_this_version_does_not_know_is_shown_by_its_id(write_run: WriteRun) -> None:
    """A run outlives the version that wrote it."""
    page = Balance.of(build_page([read_run(write_run())], {}))
    assert "This version of bnspec has no text for it." in page.text


@pytest.mark.parametrize("content", [None, "{", '{"schema": "other"}'])
def test_a_lost_case_file_does_not_lose_the_page(content: str | None, write_run: WriteRun, sample: Any) -> None:
    """The page says what is missing instead."""
    path = write_run()
    [file] = (path / "cases").iterdir()
    file.unlink() if content is None else file.write_text(content)
    page = Balance.of(build_page([read_run(path)], sample.clauses))
    assert "The file of this case" in page.text


def test_an_empty_run_has_a_page(write_run: WriteRun, sample: Any) -> None:
    """A run that was cut short before its first finding says so."""
    path = write_run(sample.target("alpha"), finished=False)
    page = Balance.of(build_page([read_run(path)], sample.clauses))
    assert "Nothing was judged" in page.text
    assert "was cut short" in page.text


def test_two_runs_share_a_page(write_run: WriteRun, sample: Any) -> None:
    """Findings of one and timings of the other."""
    verify = write_run(sample.target("alpha"), sample.finding("alpha"), name="verify")
    bench = write_run(sample.target("alpha"), sample.timing("alpha"), name="bench")
    page = Balance.of(build_page([read_run(verify), read_run(bench)], sample.clauses))
    assert "1 of 1 targets conforms" in page.text
    assert "training, 4 × 2 float32" in page.text


def test_two_runs_that_judge_the_same_cell_are_refused(write_run: WriteRun, sample: Any) -> None:
    """One page says one thing of a cell."""
    runs = [read_run(write_run(sample.finding("alpha"), name=name)) for name in ("one", "two")]
    with pytest.raises(UsageError, match=r"both hold training\.output of alpha@cpu"):
        build_page(runs, sample.clauses)


def test_two_runs_that_time_the_same_cell_are_refused(write_run: WriteRun, sample: Any) -> None:
    """Processes of different runs are not put together, whatever their numbers."""
    runs = [read_run(write_run(sample.timing(process=n), name=f"run{n}")) for n in (0, 1)]
    with pytest.raises(UsageError, match="both hold training-4x2-axis1-float32 of alpha@cpu"):
        build_page(runs, sample.clauses)


def test_a_foreign_index_is_not_overwritten(write_run: WriteRun, sample: Any, tmp_path: Path) -> None:
    """Only our own page is replaced."""
    out = tmp_path / "site"
    out.mkdir()
    (out / "index.html").write_text("<p>mine</p>")
    with pytest.raises(UsageError, match="not a page of bnspec"):
        write_page([read_run(write_run())], sample.clauses, out)
    assert (out / "index.html").read_text() == "<p>mine</p>"


def test_a_slow_sample_is_counted_when_it_does_not_fit_the_scale(sample: Any) -> None:
    """Nothing is removed silently: what stretches a linear scale is counted beside it."""
    rows = cells([sample.timing(samples_ns=(100, 101, 102, 103, 5000), median_ns=102.0)])
    scale = charts.scale(rows)
    assert scale
    assert charts.beyond(rows[0], scale) == 1
    assert "beyond" in charts.strip(rows[0], scale, Style(3, 0))


def test_a_wide_range_of_times_gets_a_logarithmic_scale(sample: Any) -> None:
    """The fast ones stay visible, and nothing lies off the scale."""
    times = {"alpha": 100, "beta": 1_000_000}
    rows = cells([sample.timing(b, samples_ns=(n, n + 1, 2 * n), median_ns=float(n)) for b, n in times.items()])
    scale = charts.scale(rows)
    assert scale
    assert scale.logarithmic
    assert [charts.beyond(c, scale) for c in rows] == [0, 0]
    assert all(0 < scale.share(c.median_ns or 0.0) < 1 for c in rows)


def test_every_process_has_a_lane_of_its_own(sample: Any) -> None:
    """Ticks of one process are not taken for those of another; each lane says whose it is."""
    [cell] = cells([sample.timing(process=p) for p in range(3)])
    scale = charts.scale([cell])
    assert scale
    style = palette([cell])[cell.contender]
    drawn = charts.strip(cell, scale, style)
    assert f'{style.classes}"' in drawn  # in the colour of its backend
    assert drawn.count('class="ticks"') == 3
    assert all(f"process {p}: median" in drawn for p in range(3))


def test_the_command_writes_the_page_and_names_it_last(write_run: WriteRun, capsys: pytest.CaptureFixture[str]) -> None:
    """By default into the run's own folder."""
    path = write_run()
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(path / "index.html")
    assert (path / "index.html").read_text("utf-8").lstrip().startswith("<!doctype html>")


def test_the_command_prints_one_json_document(
    write_run: WriteRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json nothing else is on standard output, and the page is written all the same."""
    out = tmp_path / "public"
    assert main(["report", str(write_run()), "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["page"] == str(out / "index.html")
    assert document["run"]["complete"] is True
    assert {f["verdict"] for f in document["findings"]} == {"conforms", "deviates", "declined"}
    assert {t["pass"] for t in document["timings"]} == {"training"}
    assert (out / "index.html").is_file()


def test_the_document_has_a_timing_for_each_contender_on_each_workload(write_run: WriteRun, sample: Any) -> None:
    """With its processes inside, the comparisons and the roofs beside it; all of it is JSON."""
    document = json.loads(json.dumps(run_document([read_run(write_run(*sample.timed()))]), allow_nan=False))
    alpha = next(t for t in document["timings"] if t["backend"] == "alpha")
    assert alpha["median_ns"] == 111.0
    assert [p["process"] for p in alpha["processes"]] == [0, 1]
    assert {"device", "pass", "shape", "dtype", "verdict", "ratio"} <= alpha.keys()
    assert [t["contender"] for t in document["timings"] if t["impossible"]] == ["epsilon@cpu"]
    assert [c["verdict"] for c in document["comparisons"]] == ["AMBIGUOUS"]
    assert {r["action"] for r in document["roofs"]} == {"copy", "read"}


def test_the_command_refuses_a_bad_directory_and_writes_nothing(
    write_run: WriteRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2, what, why and mend; a good run beside the bad one gets no page either."""
    out = tmp_path / "public"
    assert main(["report", str(write_run()), str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert "nowhere does not exist" in captured.err
    assert "Why:" in captured.err
    assert "Fix:" in captured.err
    assert not out.exists()


def test_the_command_refuses_an_out_that_is_a_file(
    write_run: WriteRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file stays as it is."""
    (tmp_path / "file").write_text("mine")
    assert main(["report", str(write_run()), "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_only_the_arrays_of_the_step_that_deviates_are_pointed_at(write_run: WriteRun, sample: Any) -> None:
    """The index of the evidence counts in the arrays that its step takes, and in no others."""
    case, run = sample.small_case(), read_run(write_run(sample.finding("alpha")))
    case = case.with_(
        arrays={**case.arrays, "z": case.arrays["x"].copy()}, steps=(*case.steps, Step(INFERENCE, ("z",)))
    )
    (run.path / "cases" / "two.json").write_text(case.dumps())
    view = view_case([run], "cases/two.json", msgspec.structs.replace(sample.evidence, step=1, index=(2, 1)))
    hot = {b.caption.partition(":")[0]: [c.text for _, cells in b.rows for c in cells if c.hot] for b in view.blocks}
    assert hot["x"] == []
    assert hot["z"] == [str(case.arrays["z"][2, 1])]


def test_arrays_of_another_rank_are_listed_along_their_last_axis(write_run: WriteRun, sample: Any) -> None:
    """What a malformed call takes: a number, a column; columns are channels where there are as many."""
    case, run = sample.small_case(), read_run(write_run(sample.finding("alpha")))
    odd = {"scalar": np.array(2.5, np.float32), "deep": np.ones((1, 2, 5), np.float32)}
    (run.path / "cases" / "odd.json").write_text(case.with_(arrays={**case.arrays, **odd}).dumps())
    view = view_case([run], "cases/odd.json", sample.evidence)
    assert not view.problem
    blocks = {b.caption.partition(":")[0]: b for b in view.blocks}
    assert blocks["scalar"].note == "2.5"
    assert blocks["deep"].columns == ["0", "1", "2", "3", "4"]
    assert len(blocks["deep"].rows) == 2
