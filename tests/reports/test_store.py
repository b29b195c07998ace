"""The run directory: what is written is read back, what is cut short stays readable, what contradicts itself is refused."""

from __future__ import annotations

import json
import math
import platform
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from bnspec.errors import HarnessError, UsageError
from bnspec.model.case import Case
from bnspec.reports.run.codec import BrokenRecord, decode, encode, plain, to_json
from bnspec.reports.run.lines import sealed
from bnspec.reports.run.machine import describe_machine
from bnspec.reports.run.merge import warnings
from bnspec.reports.run.records import Finding, Record, TargetRecord, Timing, ratio_text, ratio_value
from bnspec.reports.run.schema import schema, text
from bnspec.reports.run.store import Run, RunWriter, read_run

WriteRun = Callable[..., Path]


def all_records(run: Run) -> list[Record]:
    """The records of a run, kind by kind."""
    return [*run.targets, *run.findings, *run.incidents, *run.timings, *run.targets_finished]


def says_what_why_and_mend(error: UsageError) -> bool:
    """Whether each part of the message is there."""
    return bool(error.what and error.why and error.fix)


def test_what_is_written_is_read_back_equal(write_run: WriteRun, sample: Any) -> None:
    """A record survives the file: types, tuples, infinite ratios and the renamed field included."""
    case = f"cases/{sample.small_case().id}.json"
    run = read_run(write_run())
    assert all_records(run) == sample.records(case)
    assert run.manifest.command == sample.manifest.command
    assert run.finished == sample.finished
    assert run.complete


def test_every_record_holds_to_exactly_one_kind_of_the_schema(sample: Any) -> None:
    """The generated schema tells the kinds apart, and it is itself a valid schema."""
    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())
    for record in (sample.manifest, sample.finished, *sample.records(), *sample.timed()):
        validator.validate(to_json(record))


def test_the_schema_in_the_repository_is_the_generated_one() -> None:
    """`make schema` writes it; others read it there."""
    written = (Path(__file__).parents[2] / "reports" / "run" / "schema.json").read_text("utf-8")
    assert written == text(), "run make schema"


def test_a_field_is_called_pass_in_json(write_run: WriteRun) -> None:
    """``pass`` is a reserved word of Python, not of JSON."""
    lines = [json.loads(line) for line in (write_run() / "records.jsonl").read_text().splitlines()]
    timings = [line for line in lines if line["kind"] == "timing"]
    assert {t["pass"] for t in timings} == {"training"}
    assert not any("pass_name" in t for t in timings)


def test_a_saved_case_reads_back_with_its_id(write_run: WriteRun, sample: Any) -> None:
    """The file is named by the case's id, and holds the case."""
    path = write_run()
    [file] = (path / "cases").iterdir()
    assert Case.loads(file.read_text()).id == sample.small_case().id == file.stem


def test_a_case_is_saved_once(tmp_path: Path, sample: Any) -> None:
    """The same content has the same name and is not written again."""
    with RunWriter.create(tmp_path / "run", sample.manifest) as writer:
        path = writer.save_case(sample.small_case())
        (writer.path / path).write_text("kept")
        assert writer.save_case(sample.small_case()) == path
        assert (writer.path / path).read_text() == "kept"


def test_a_torn_last_line_leaves_a_readable_unfinished_run(write_run: WriteRun) -> None:
    """A run that was killed while it wrote keeps everything but the line it was writing."""
    path = write_run()
    text = (path / "records.jsonl").read_bytes()
    (path / "records.jsonl").write_bytes(text[:-5])
    run = read_run(path)
    assert not run.complete
    assert run.findings


def test_of_a_cell_written_twice_the_later_record_counts(write_run: WriteRun, sample: Any) -> None:
    """A resumed run may judge a target again."""
    path = write_run(sample.deviation("alpha"), sample.finding("alpha"))
    assert [f.verdict for f in read_run(path).findings] == ["conforms"]


def test_a_run_overwrites_nothing(tmp_path: Path, sample: Any) -> None:
    """A folder that holds a file is refused and left as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="cannot take a new run") as caught:
        RunWriter.create(tmp_path, sample.manifest)
    assert says_what_why_and_mend(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_without_a_folder_is_named_by_its_id(
    tmp_path: Path, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default is runs/<id>."""
    monkeypatch.chdir(tmp_path)
    with RunWriter.create(None, sample.manifest) as writer:
        assert writer.path == Path("runs") / sample.manifest.id


def ended_by(error: BaseException, path: Path | None, manifest: Any, *records: Record) -> None:
    """A run that ends with this error after these records."""

    def run() -> None:
        with RunWriter.create(path, manifest) as writer:
            writer.write(*records)
            raise error

    with pytest.raises(type(error)):
        run()


def test_a_wrong_call_leaves_no_new_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Any) -> None:
    """Folders that were there stay, and what other errors end stays to be resumed."""
    monkeypatch.chdir(tmp_path)
    wrong, target = UsageError("No adapter.", "It is not there.", "Name one."), sample.records()[0]
    (tmp_path / "mine").mkdir()
    memory = msgspec.structs.replace(sample.timed()[0], backend="plain_copy", pass_name="copy")
    for path in (None, tmp_path / "new", tmp_path / "deep" / "in" / "it", tmp_path / "mine"):
        ended_by(wrong, path, sample.manifest, target, memory)
        assert [p.name for p in tmp_path.rglob("*")] == ["mine"]
    for number, error in enumerate((HarnessError("No room.", "It is full.", "Make room."), KeyboardInterrupt())):
        ended_by(error, tmp_path / f"stays-{number}", sample.manifest, target)
        assert read_run(tmp_path / f"stays-{number}").targets == (target,)


def test_a_wrong_call_takes_no_judged_or_resumed_run_away(tmp_path: Path, sample: Any) -> None:
    """What was judged before the error, now or in an earlier session, stays."""
    wrong = UsageError("No adapter.", "It is not there.", "Name one.")
    ended_by(wrong, tmp_path / "judged", sample.manifest, *sample.records())
    assert read_run(tmp_path / "judged").findings
    RunWriter.create(tmp_path / "earlier", sample.manifest).close()
    with pytest.raises(UsageError), RunWriter.resume(tmp_path / "earlier"):
        raise wrong
    assert not read_run(tmp_path / "earlier").complete


def test_many_threads_write_whole_lines(tmp_path: Path, sample: Any) -> None:
    """Lines of several threads never mix."""
    with RunWriter.create(tmp_path / "run", sample.manifest) as writer:
        names = [f"backend{i}" for i in range(8)]
        threads = [
            threading.Thread(target=lambda n=n: [writer.write(sample.finding(f"{n}.{i}")) for i in range(25)])
            for n in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_run(tmp_path / "run").findings) == 200


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda p: (p / "manifest.json").unlink(), "not a run directory"),
        (lambda p: (p / "manifest.json").write_text("{"), "cannot be read"),
        (lambda p: _edit(p, schema="another"), "schema 'another'"),
        (lambda p: _edit(p, seed="seven"), "breaks the schema"),
        (lambda p: _append(p, '{"kind": "rumour"}'), "line 14: a record breaks the schema"),
        (lambda p: _append(p, '{"kind": "manifest"}'), "line 14: a record breaks the schema"),
    ],
)
def test_a_directory_that_is_no_run_is_refused_with_the_place(
    break_it: Callable[[Path], object], expected: str, write_run: WriteRun
) -> None:
    """The error names the file and the line, and says why and what to do."""
    path = write_run()
    break_it(path)
    with pytest.raises(UsageError) as caught:
        read_run(path)
    assert expected in caught.value.what
    assert says_what_why_and_mend(caught.value)


@pytest.mark.parametrize(
    ("version", "fix"),
    [("bnspec-run/1", "read it with bnspec 0.1, or"), ("bnspec-run/99", "read it with bnspec 7.5, which wrote it")],
)
def test_a_run_of_another_version_is_refused_with_the_version_that_reads_it(
    version: str, fix: str, write_run: WriteRun
) -> None:
    """Whatever else such a manifest and its records hold: nothing of them is read."""
    path = write_run()
    (path / "manifest.json").write_text(json.dumps({"schema": version, "bnspec": "7.5", "new": [1]}))
    (path / "records.jsonl").write_text('{"kind": "rumour"}\n')
    with pytest.raises(UsageError) as caught:
        read_run(path)
    assert caught.value.what.endswith(f"has schema {version!r}.")
    assert "reads bnspec-run/2" in caught.value.why
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"kind": "rumour"}', "kind is 'rumour', known are target, finding"),
        ('{"kind": "target"}', "target: Object missing required field `backend`"),
        ('{"kind": "roof", "device": "cpu", "action": "fly"}', "roof: Invalid enum value 'fly' - at `$.action`"),
    ],
)
def test_a_broken_line_is_refused_with_its_kind_and_field(line: str, words: str, write_run: WriteRun) -> None:
    """The message names the file, the line, the kind and the field."""
    path = write_run()
    _append(path, line)
    with pytest.raises(UsageError) as caught:
        read_run(path)
    assert caught.value.what == f"{path / 'records.jsonl'}, line 14: a record breaks the schema."
    assert caught.value.why.startswith(words)


def _edit(path: Path, **changes: object) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def _append(path: Path, line: str) -> None:
    with (path / "records.jsonl").open("a") as file:
        file.write(sealed(line.encode()).decode() + "\n")


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    """A path that does not exist."""
    with pytest.raises(UsageError, match="does not exist"):
        read_run(tmp_path / "nowhere")


def test_nothing_comes_after_the_end(write_run: WriteRun, sample: Any) -> None:
    """A record after run_finished is a mixed-up file."""
    path = write_run()
    _append(path, json.dumps(to_json(sample.finding("late"))))
    with pytest.raises(UsageError, match="after the end"):
        read_run(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "splendid"},
        {"level": "OUGHT"},
        {"cases": 0},
        {"failures": 1},
        {"ratio": None},
        {"ratio": 1.5},
        {"ratio": "inf"},
        {"ratio": math.nan},
        {"verdict": "deviates"},
        {"verdict": "deviates", "failures": 1, "ratio": 1.0},
        {"verdict": "deviates", "failures": 1, "ratio": None},
        {"verdict": "deviates", "failures": 4, "ratio": 2.0},
        {"verdict": "declined"},
        {"verdict": "not_exercised", "cases": 0},
        {"verdict": "unavailable", "ratio": None},
        {"case": "../../secret.json"},
        {"shrunk": "cases/a.json"},
        {"backend": ""},
    ],
    ids=str,
)
def test_a_finding_that_contradicts_itself_is_refused(changes: dict[str, Any], sample: Any) -> None:
    """Neither made nor written nor read; the twin without the changes is accepted."""
    assert decode(encode(sample.finding())) == sample.finding()
    with pytest.raises(ValueError, match="."):
        encode(sample.finding(**changes))
    with pytest.raises(BrokenRecord):
        decode(json.dumps({**to_json(sample.finding()), **plain(changes)}).encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"samples_ns": ()},
        {"median_ns": None},
        {"ratio": 2.0},
        {"verdict": "deviates"},
        {"verdict": "declined"},
        {"verdict": "not_exercised"},
        {"channel_axis": 2},
        {"conditions": {"threads": "%s%n{0}{}"}},
        {"conditions": {"threads": 0}},
    ],
    ids=str,
)
def test_a_timing_that_contradicts_itself_is_refused(changes: dict[str, Any], sample: Any) -> None:
    """Neither made nor written nor read; the twin without the changes is accepted."""
    assert decode(encode(sample.timing())) == sample.timing()
    with pytest.raises(ValueError, match="."):
        encode(sample.timing(**changes))
    with pytest.raises(BrokenRecord):
        decode(json.dumps({**to_json(sample.timing()), **plain(changes)}).encode())


def test_a_target_that_is_not_ready_says_why(sample: Any) -> None:
    """Nothing is hidden by a skip without a reason."""
    assert encode(sample.target("alpha", status="absent", reason="no driver"))
    with pytest.raises(ValueError, match="says why"):
        sample.target("alpha", status="absent")


def test_unknown_fields_are_refused(sample: Any) -> None:
    """A misspelt field must not pass as an absent one."""
    deviates = to_json(sample.deviation())
    for broken in ({**deviates, "ratoi": 1}, {**deviates, "evidence": {**deviates["evidence"], "ratoi": 1}}):
        with pytest.raises(BrokenRecord, match="ratoi"):
            decode(json.dumps(broken).encode())


def test_a_broken_record_is_the_harness_s_fault_and_is_not_written(tmp_path: Path, sample: Any) -> None:
    """The writer refuses what the reader would refuse."""
    with RunWriter.create(tmp_path / "run", sample.manifest) as writer:
        with pytest.raises(HarnessError, match="breaks the schema"):
            writer.write(sample.finding(verdict="splendid"))
        assert not read_run(writer.path).findings


def test_numbers_that_json_lacks_become_words(write_run: WriteRun, sample: Any) -> None:
    """Evidence may hold infinities and NaN; the file holds standard JSON."""
    evidence = msgspec.structs.replace(sample.evidence, got=math.nan, bound=math.inf)
    path = write_run(sample.deviation("beta", evidence=evidence, ratio=math.inf))
    [found] = read_run(path).findings
    assert found.evidence == msgspec.structs.replace(sample.evidence, got="nan", bound="inf")
    assert found.ratio == "inf"


def test_a_ratio_is_never_shown_as_one_unless_it_is() -> None:
    """A verdict hangs on the side of 1."""
    texts = [ratio_text(r) for r in (None, 0.0, 0.25, 0.99999, 1.0, 1.00001, 12345678.0, "inf")]
    assert texts == ["", "0", "0.25", "<1", "1", ">1", "1.2e7", "∞"]
    assert math.isinf(ratio_value("inf"))
    assert math.isnan(ratio_value(None))


def test_the_machine_is_described_without_naming_it() -> None:
    """No host name: the page is public."""
    machine = describe_machine()
    assert machine["cores"] >= 1
    assert platform.node() not in json.dumps(machine).split('"') or not platform.node()


def test_kinds_of_records_are_told_apart_on_reading(write_run: WriteRun) -> None:
    """Each list holds its own kind."""
    run = read_run(write_run())
    kinds = (run.targets, TargetRecord), (run.findings, Finding), (run.timings, Timing)
    assert all(isinstance(r, kind) for found, kind in kinds for r in found)


def test_a_damaged_line_costs_that_line_and_is_said(write_run: WriteRun, sample: Any) -> None:
    """A flipped bit is seen by the checksum, a piece that is no JSON without one; all other records are there."""
    path = write_run(sample.finding("alpha"), sample.finding("beta"), sample.finding("gamma"))
    records = path / "records.jsonl"
    lines = records.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"beta", b"bets")
    records.write_bytes(b"".join([*lines[:2], b"\0\0\0 no JSON\n", lines[2], lines[3].replace(b'"crc"', b'"grc"')]))
    run = read_run(path)
    assert [f.backend for f in run.findings] == ["alpha", "gamma"]
    why = ["its checksum is wrong", "it is no JSON", "it has no checksum, and is no record"]
    assert [(d.number, d.why) for d in run.damaged] == [*zip((2, 3, 5), why, strict=True)]
    warning = warnings([run])[-1]
    assert "line 2 (its checksum is wrong), line 3 (it is no JSON)" in warning


def test_a_stranger_can_check_a_line(write_run: WriteRun) -> None:
    """The checksum is the last field of an ordinary JSON object."""
    for line in (write_run() / "records.jsonl").read_text().splitlines():
        body, _, seal = line.rpartition(',"crc":')
        assert f"{zlib.crc32((body + '}').encode()):08x}" == seal.strip('"}') == json.loads(line)["crc"]
        Draft202012Validator(schema()).validate(json.loads(line))
