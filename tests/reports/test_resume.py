"""Writing a run: one process, durable, gone on with after it was cut short, and the journal that this needs."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bnspec.errors import HarnessError, UsageError
from bnspec.reports.run.journal import UnitDone, read_journal, seconds_before
from bnspec.reports.run.lines import sealed
from bnspec.reports.run.resume import Begun, begun
from bnspec.reports.run.store import RunWriter, read_run

WriteRun = Callable[..., Path]


def says_what_why_and_mend(error: UsageError) -> bool:
    """Whether each part of the message is there."""
    return bool(error.what and error.why and error.fix)


def test_resuming_drops_a_torn_line_and_goes_on(write_run: WriteRun, sample: Any) -> None:
    """After resuming, every line is whole and the run can be finished."""
    path = write_run(sample.target("alpha"), sample.finding("alpha"), finished=False)
    with (path / "records.jsonl").open("ab") as file:
        file.write(b'{"kind": "find')
    with RunWriter.resume(path) as writer:
        assert [t.backend for t in writer.targets] == ["alpha"]
        absent = sample.target("beta", status="absent", reason="no driver")
        writer.write(absent)
        assert writer.targets == [sample.target("alpha"), absent]
        assert writer.resumed is not None
        assert writer.resumed.records == (sample.target("alpha"), sample.finding("alpha"))
        writer.write(sample.finding("alpha", "running.var"))
        writer.write(sample.finished)
    run = read_run(path)
    assert run.complete
    assert [f.clause for f in run.findings] == ["training.output", "running.var"]


def test_a_whole_last_line_without_its_newline_is_kept(write_run: WriteRun, sample: Any) -> None:
    """Only the newline was lost: the record counts, and resuming puts the newline back."""
    path = write_run(sample.finding("alpha"), finished=False)
    records = path / "records.jsonl"
    records.write_bytes(records.read_bytes().rstrip(b"\n"))
    assert len(read_run(path).findings) == 1
    RunWriter.resume(path).close()
    assert records.read_bytes().endswith(b"}\n")


def test_a_run_is_not_resumed_into_another_folder(write_run: WriteRun, sample: Any, tmp_path: Path) -> None:
    """--resume A --out B would leave B empty, and nobody would say so."""
    path = write_run(sample.finding(), finished=False)
    with pytest.raises(UsageError, match="are both given") as refused:
        begun(sample.manifest, tmp_path / "other", path, ())
    assert says_what_why_and_mend(refused.value)
    assert not (tmp_path / "other").exists()


def test_a_finished_run_cannot_be_resumed(write_run: WriteRun) -> None:
    """run_finished is the last word."""
    with pytest.raises(UsageError, match="cannot be resumed"):
        RunWriter.resume(write_run())


def test_a_finished_run_with_damaged_lines_can_be_resumed(write_run: WriteRun, sample: Any) -> None:
    """They are dropped with the end of the run; what is written again and was there is not written twice."""
    path = write_run(sample.finding("alpha"), sample.finding("beta"))
    records = path / "records.jsonl"
    records.write_bytes(records.read_bytes().replace(b"beta", b"bets"))
    with RunWriter.resume(path) as writer:
        writer.write(sample.finding("alpha"), sample.finding("beta"), sample.finished)
    assert read_run(path).complete
    assert [f.backend for f in read_run(path).findings] == ["alpha", "beta"]
    assert len(records.read_bytes().splitlines()) == 3


def test_of_two_writers_the_second_is_refused(tmp_path: Path, sample: Any) -> None:
    """Whether it would begin or resume the run; once the first has ended, it may."""
    with RunWriter.create(tmp_path / "run", sample.manifest) as writer:
        writer.write(sample.finding("alpha"))
        with pytest.raises(UsageError, match="is being written"):
            RunWriter.resume(writer.path)
    RunWriter.resume(tmp_path / "run").close()


def test_without_room_nothing_of_a_record_is_left(tmp_path: Path, sample: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is taken back, and the error says what to do."""
    written = os.write

    def half(descriptor: int, data: Any) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(descriptor, data[: len(data) // 2])

    with RunWriter.create(tmp_path / "run", sample.manifest) as writer:
        writer.write(sample.finding("alpha"))
        monkeypatch.setattr(os, "write", half)
        with pytest.raises(HarnessError, match="cannot be written") as full:
            writer.write(sample.finding("beta"))
        monkeypatch.undo()
        assert "make room" in full.value.fix
        writer.write(sample.finding("gamma"))
    run = read_run(tmp_path / "run")
    assert [f.backend for f in run.findings] == ["alpha", "gamma"]
    assert not run.damaged


def test_a_run_that_cannot_be_made_durable_says_so(
    tmp_path: Path, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its last record was written; closing it again does nothing, and another may write it."""

    def full(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = RunWriter.create(tmp_path / "run", sample.manifest)
    writer.write(sample.finding())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HarnessError, match=r"records\.jsonl cannot be written"):
        writer.sync()
    with pytest.raises(HarnessError, match="cannot be written") as lost:
        writer.close()
    assert lost.value.why == "Input/output error."
    monkeypatch.undo()
    writer.close()
    RunWriter.resume(tmp_path / "run").close()


def test_an_error_inside_is_not_hidden_by_one_of_the_last_writing(
    tmp_path: Path, sample: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ended the run is what is said; without one the error of writing is."""

    def full(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    def run(name: str, error: Exception | None) -> None:
        with RunWriter.create(tmp_path / name, sample.manifest):
            monkeypatch.setattr(os, "fsync", full)
            if error is not None:
                raise error

    with pytest.raises(ZeroDivisionError):
        run("one", ZeroDivisionError())
    monkeypatch.undo()
    with pytest.raises(HarnessError, match="cannot be written"):
        run("two", None)


def test_a_journal_gives_back_its_whole_entries_and_the_time_of_all_sessions(tmp_path: Path, sample: Any) -> None:
    """A damaged entry costs its unit, which is done again."""
    with RunWriter.create(tmp_path / "run", sample.manifest) as writer:
        writer.journal(UnitDone(("round", 1), 2.5))
        writer.journal(UnitDone(("round", 2), 4.0))
    with RunWriter.resume(tmp_path / "run") as writer:
        writer.journal(UnitDone(("round", 3), 1.25))
    journal = tmp_path / "run" / "journal.jsonl"
    assert seconds_before(read_journal(tmp_path / "run")) == 5.25
    journal.write_bytes(journal.read_bytes().replace(b'"round",2', b'"round",7'))
    units = [e.unit for e in read_journal(tmp_path / "run") if isinstance(e, UnitDone)]
    assert units == [("round", 1), ("round", 3)]


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"unit_done","unit":["round",1],"at":1.0,"data":{"deep":%s}}' % (b"[" * 100_000 + b"]" * 100_000),
        b'{"kind":"unit_done","unit":["round","\xff"],"at":1.0}',
        b'{"kind":"unit_done","unit":["round",1],"at":"late"}',
        b'{"kind":"unit_done"',
    ],
    ids=["deep", "no UTF-8", "another type", "no JSON"],
)
def test_an_entry_of_the_journal_that_cannot_be_read_costs_its_unit(line: bytes, write_run: WriteRun) -> None:
    """Though its checksum is right: whoever wrote it."""
    path = write_run()
    journal = path / "journal.jsonl"
    good = b'{"kind":"unit_done","unit":["round",2],"at":1.0}'
    journal.write_bytes(journal.read_bytes() + sealed(line) + b"\n" + sealed(good) + b"\n")
    assert [e.unit for e in read_journal(path) if isinstance(e, UnitDone)] == [("round", 2)]


def test_a_unit_whose_data_do_not_fit_is_done_again(write_run: WriteRun, sample: Any) -> None:
    """It is left out of what an interrupted run had, however the data are wrong."""
    kept = {"good": {"seconds": 1.0}, "word": {"seconds": "long"}, "absent": {}, "large": {"seconds": 10**400}}
    with RunWriter(write_run(sample.finding(), finished=False)) as writer:
        entries = [UnitDone((name,), 1.0, data) for name, data in kept.items()]
        had = Begun(writer, entries=entries)
        assert {unit: found.seconds for unit, found in had.kept(Seconds).items()} == {("good",): 1.0}


class Seconds(msgspec.Struct):
    """What a unit keeps."""

    seconds: float
