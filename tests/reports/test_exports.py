"""``bnspec export``: what other tools are told of a run, and what they are never told as a plain time."""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from bnspec.cli import main
from bnspec.reports.exports.asv import ENOUGH
from bnspec.reports.exports.command import FORMATS
from bnspec.reports.exports.formats import FOLDERS, TABLES, TIMES, export
from bnspec.reports.run.store import read_run

WriteRun = Callable[..., Path]
RIGHT = "training-4x2-axis1-float32/alpha@cpu"
WRONG = "training-4x2-axis1-float32/beta@cpu (deviates)"
TIMES_ALONE = [*TIMES, *FOLDERS]

#: The schema that Bencher publishes, https://bencher.dev/bmf.json.
METRIC = {"type": "object", "required": ["value"], "additionalProperties": {"type": "number"}}
BMF = {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": METRIC}}


@pytest.fixture
def run(write_run: WriteRun, sample: Any) -> Path:
    """Two processes of alpha that conform, one of beta that deviates, one of gamma that was declined."""
    again = sample.timing("alpha", process=1, samples_ns=(120, 140), median_ns=130.0, calls_per_sample=1)
    return write_run(*sample.records(), again)


def texts(path: Path, form: str, **options: bool) -> str:
    """All that is exported of a run, as one text."""
    return "\n".join(export(read_run(path), form, **options).files.values())


def tool(*words: str | Path) -> str:
    """What pytest-benchmark's own command line says."""
    command = [sys.executable, "-m", "pytest_benchmark", *map(str, words)]
    end = subprocess.run(command, cwd=Path(sys.prefix), capture_output=True, text=True, check=False)
    assert end.returncode == 0, end.stderr
    return end.stdout + end.stderr


def rows_of(text: str) -> list[dict[str, str]]:
    """A CSV text as its rows."""
    return list(csv.DictReader(io.StringIO(text)))


def test_pytest_benchmark_compares_and_lists_what_is_exported(run: Path, tmp_path: Path) -> None:
    """The tool itself reads the file, alone and beside another, and groups by what we call a parameter."""
    first, second = tmp_path / "storage" / "0001_a.json", tmp_path / "storage" / "0002_b.json"
    first.parent.mkdir()
    for file in (first, second):
        assert main(["export", str(run), "--to", "pytest-benchmark", "--out", str(file)]) == 0
    both = tool("compare", first, second)
    assert "benchmark 'training-4x2-axis1-float32': 2 tests" in both
    assert both.count(RIGHT) == 2
    assert "backend=alpha@cpu" in tool("compare", first, "--group-by", "param:backend")
    assert tool("--storage", first.parent, "list").split() == [str(first), str(second)]


def test_the_rounds_are_the_samples_of_all_processes(run: Path) -> None:
    """pytest-benchmark's statistics are of every sample; the median of the processes' medians stands beside them."""
    (cell,) = json.loads(texts(run, "pytest-benchmark"))["benchmarks"]
    seconds = [ns * 1e-9 for ns in (100, 110, 130, 120, 140)]
    assert cell["stats"]["data"] == seconds
    assert cell["stats"]["median"] == statistics.median(seconds)
    assert (cell["stats"]["rounds"], cell["stats"]["iterations"]) == (5, 1)
    told = cell["extra_info"]
    assert (told["verdict"], told["ratio"], told["contender"]) == ("conforms", 0.5, "alpha@cpu")
    assert (told["median_of_processes_ns"], told["medians_ns"], told["first_ns"]) == (120.0, [110.0, 130.0], 900)


def test_the_metric_format_follows_its_schema(run: Path) -> None:
    """Latency in nanoseconds between the processes' medians; an error that is no number is left out."""
    document = json.loads(texts(run, "bmf", unverified=True))
    jsonschema.validate(document, BMF)
    assert document[RIGHT]["latency"] == {"value": 120.0, "lower_value": 110.0, "upper_value": 130.0}
    assert document[RIGHT]["error_over_bound"] == {"value": 0.5}
    assert document[WRONG] == {"latency": {"value": 210.0}}


@pytest.mark.parametrize("form", TIMES_ALONE)
def test_a_time_without_a_right_answer_is_no_time(form: str, run: Path) -> None:
    """It is left out and counted, or it is asked for and named as what it is."""
    exported = export(read_run(run), form)
    assert exported.rows == 1
    assert exported.left_out == {"declined": 1, "deviates": 1}
    assert "beta@cpu" not in texts(run, form)
    taken = texts(run, form, unverified=True)
    assert WRONG in taken
    assert taken.count("beta@cpu") >= taken.count(WRONG) > 0
    assert f'"{WRONG.removesuffix(" (deviates)")}"' not in taken


def test_one_process_that_crashed_takes_the_cell_with_it(write_run: WriteRun, sample: Any) -> None:
    """The weightiest verdict of any process is the cell's."""
    gone = sample.timing("alpha", process=1, samples_ns=(), median_ns=None, verdict="crashed", ratio=None)
    path = write_run(sample.timing("alpha"), gone, sample.timing("beta"))
    assert export(read_run(path), "bmf").left_out == {"crashed": 1}


@pytest.mark.parametrize("form", TIMES_ALONE)
def test_names_are_the_same_in_every_run(form: str, write_run: WriteRun, sample: Any) -> None:
    """Workload and contender make the name; conditions are the contender's, and no number of the run is in it."""
    bound = sample.timing("alpha", conditions={"threads": 1, "cache": "cold"}, process=3)
    for path in (write_run(bound, name="one"), write_run(sample.timing("beta"), bound, name="two")):
        assert "training-4x2-axis1-float32/alpha@cpu[cache=cold,threads=1]" in texts(path, form)


def test_a_table_has_every_process_with_its_verdict(run: Path) -> None:
    """What was not timed has a row without times."""
    rows = rows_of(texts(run, "csv"))
    found = [(r["backend"], r["process"], r["verdict"], r["samples"], r["median_ns"], r["maximum_ns"]) for r in rows]
    assert found == [
        ("alpha", "0", "conforms", "3", "110.0", "130"),
        ("alpha", "1", "conforms", "2", "130.0", "140"),
        ("beta", "0", "deviates", "3", "210.0", "9000"),
        ("gamma", "0", "declined", "0", "", ""),
    ]
    assert (rows[0]["framework"], rows[0]["framework_version"], rows[2]["ratio"]) == ("alpha", "1.0", "inf")


def test_a_table_of_samples_has_each_once(run: Path) -> None:
    """From it the medians of the run can be had again."""
    exported = export(read_run(run), "csv-samples")
    rows = rows_of(exported.files[""])
    assert len(rows) == exported.rows == 8
    alone = [int(r["sample_ns"]) for r in rows if (r["backend"], r["process"]) == ("alpha", "0")]
    assert alone == [100, 110, 130]


def test_asv_finds_a_release_where_it_looks_for_a_commit(run: Path, tmp_path: Path) -> None:
    """Results are filed by machine, version and framework, in seconds, with the columns that they name."""
    assert main(["export", str(run), "--to", "asv", "--out", str(tmp_path / "asv")]) == 0
    (machine,) = (p.parent for p in (tmp_path / "asv").rglob("machine.json"))
    found = json.loads((machine / "1.0-alpha.json").read_text())
    assert (found["commit_hash"], found["env_name"], found["params"]["machine"]) == ("1.0", "alpha", machine.name)
    values = dict(zip(found["result_columns"], found["results"][RIGHT], strict=True))
    assert values["samples"] == [[110.0 * 1e-9, 130.0 * 1e-9]]
    assert values["result"] == [statistics.median(values["samples"][0])]
    known = json.loads((tmp_path / "asv" / "results" / "benchmarks.json").read_text())
    assert known[RIGHT]["version"] == values["version"]


def test_another_release_joins_the_folder_of_asv(write_run: WriteRun, sample: Any, tmp_path: Path) -> None:
    """asv compares what lies in one folder; benchmarks and configuration that are there stay."""
    older = msgspec.structs.replace(sample.target("alpha"), versions={"alpha": "0.9"})
    for path in (write_run(sample.timing("gone"), name="one"), write_run(older, sample.timing("alpha"), name="two")):
        assert main(["export", str(path), "--to", "asv", "--out", str(tmp_path / "asv")]) == 0
        (tmp_path / "asv" / "asv.conf.json").write_text("mine")
    assert {p.name for p in (tmp_path / "asv").rglob("*-*.json")} == {"0.9-alpha.json", "unknown-gone.json"}
    known = json.loads((tmp_path / "asv" / "results" / "benchmarks.json").read_text())
    assert set(known) == {RIGHT, RIGHT.replace("alpha", "gone"), "version"}
    assert (tmp_path / "asv" / "asv.conf.json").read_text() == "mine"


@pytest.mark.parametrize(("processes", "finite"), [(ENOUGH - 1, False), (ENOUGH, True)])
def test_asv_gets_an_interval_only_where_there_is_one(
    processes: int, finite: bool, write_run: WriteRun, sample: Any
) -> None:
    """The lowest and the highest of n medians hold the true one with probability 1 - 2^(1 - n): 99 % from eight on."""
    assert 2.0 ** (1 - ENOUGH) <= 1 - 0.99 < 2.0 ** (2 - ENOUGH)
    path = write_run(*(sample.timing("alpha", process=i, median_ns=100.0 + i) for i in range(processes)))
    files = export(read_run(path), "asv").files
    (found,) = (json.loads(text) for name, text in files.items() if name.endswith("unknown-alpha.json"))
    values = dict(zip(found["result_columns"], found["results"][RIGHT], strict=True))
    assert math.isfinite(values["stats_ci_99_a"][0]) is math.isfinite(values["stats_ci_99_b"][0]) is finite


def test_what_is_left_out_is_said(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error in sentences, in the document by verdict."""
    out = tmp_path / "out.json"
    assert main(["export", str(run), "--to", "bmf", "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    assert "1 cell has no samples: declined 1" in said.err
    assert "1 cell is left out, the outputs are not right: deviates 1 (see --unverified)" in said.err
    left_out = {"declined": 1, "deviates": 1}
    assert json.loads(said.out) == {"format": "bmf", "file": str(out), "rows": 1, "left_out": left_out}
    assert main(["export", str(run), "--to", "bmf", "--json"]) == 0
    assert json.loads(json.loads(capsys.readouterr().out)["text"]) == json.loads(out.read_text())


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["{tmp}", "--to", "csv"], "is not a run directory"),
        (["{run}", "--to", "xml"], "no format is called 'xml'"),
        (["{untimed}", "--to", "csv"], "has no timings"),
        (["{declined}", "--to", "bmf"], "has nothing for bmf"),
        (["{run}", "--to", "asv"], "asv cannot be printed"),
        (["{run}", "--to", "csv", "--out", "{tmp}"], "is a folder"),
        (["{run}", "--to", "csv", "--out", "/dev/null"], "is no file"),
        (["{run}", "--to", "csv", "--out", "{tmp}/none/out.csv"], "cannot be written"),
        (["{run}", "--to", "asv", "--out", "{tmp}/file"], "is no folder"),
        (["{run}", "--to", "asv", "--out", "{tmp}/file/in"], "cannot be written"),
        (["{run}", "--to", "asv", "--out", "{tmp}/other"], "cannot be added to"),
    ],
)
def test_a_wrong_call_says_what_why_and_mend_and_writes_nothing(
    words: list[str], what: str, run: Path, write_run: WriteRun, sample: Any, tmp_path: Path, capsys: Any
) -> None:
    """Exit status 2; no file is there that was not there before, and none has changed."""
    declined = sample.timing("gamma", samples_ns=(), median_ns=None, verdict="declined", ratio=None)
    places = {
        "tmp": tmp_path,
        "run": run,
        "untimed": write_run(sample.finding(), name="untimed"),
        "declined": write_run(declined, name="declined"),
    }
    (tmp_path / "file").write_text("a file")
    (tmp_path / "other" / "results").mkdir(parents=True)
    (tmp_path / "other" / "results" / "benchmarks.json").write_text("{}")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert main(["export", *(w.format(**places) for w in words)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert what in said.err
    assert "Why:" in said.err
    assert "Fix:" in said.err
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_run_that_was_cut_short_is_exported_and_said_to_be(write_run: WriteRun, sample: Any, capsys: Any) -> None:
    """What it had recorded is worth reading."""
    assert main(["export", str(write_run(sample.timing(), finished=False)), "--to", "bmf"]) == 0
    assert "was cut short" in capsys.readouterr().err


def test_help_names_the_formats_that_there_are() -> None:
    """The list in the command and the formats themselves lie in two files, so that help imports neither."""
    assert set(FORMATS) == {*TIMES, *FOLDERS, *TABLES}
