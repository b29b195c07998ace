"""The run directory: written line by line while a run goes on, read back whole.

    <run>/manifest.json     one Manifest
    <run>/records.jsonl     one record a line, append-only; the last line of a whole run is run_finished
    <run>/journal.jsonl     one unit of work a line; for ``--resume`` alone
    <run>/cases/<id>.json   saved cases

A run that was cut short, even in the middle of a line, can be read (``Run.complete`` is False) and resumed. A damaged line
costs that line, and is said. One process writes at a time.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from bnspec.errors import FULL, HarnessError, UsageError
from bnspec.reports.run.codec import BrokenRecord, encode, encode_manifest
from bnspec.reports.run.journal import JOURNAL, AnyEntry, SessionBegun, UnitDone, encode_entry
from bnspec.reports.run.lines import LineFile, sealed, sync_folder, unwritable
from bnspec.reports.run.lock import Lock
from bnspec.reports.run.reading import MANIFEST, RECORDS, Run, read_lines, read_manifest, read_run, run_of
from bnspec.reports.run.records import SCHEMA, Manifest, Record, Roof, RunFinished, TargetRecord, Timing, identity

CASES = "cases"


class SavedCase(Protocol):
    """What the store asks of a case: ``bnspec.model.case.Case`` has it."""

    @property
    def id(self) -> str:
        """Names the file."""

    def dumps(self) -> str:
        """The file's text."""


class RunWriter:
    """Writes a run directory, alone; many threads may write. Use as a context manager, or call ``close``.

    As a context manager it takes a new run away again that a UsageError ends before anything was judged: the call is wrong, and
    the corrected one may name the same folder.

    ``resumed``: what a run that is gone on with holds; None of a new one.
    """

    def __init__(self, path: Path, lock: Lock | None = None) -> None:
        """Open the records of an existing run directory for appending; see ``create`` and ``resume``."""
        self.path = path
        self._began_with: Sequence[Path] | None = None  # the folders that were made for a new run
        self._empty = True  # but for its targets and its machine
        self._lock, self._began = threading.Lock(), time.monotonic()
        self._alone = lock or Lock(path)
        self._records, self._journal = LineFile(path / RECORDS), LineFile(path / JOURNAL)
        self._written: set[bytes] = set()
        self._closed = False
        self.resumed: Run | None = None
        self._targets: dict[tuple[object, ...], TargetRecord] = {}
        self.journal(SessionBegun(datetime.datetime.now(datetime.UTC).replace(microsecond=0).isoformat()))

    @classmethod
    def create(cls, out: Path | None, manifest: Manifest) -> RunWriter:
        """Begin a run in ``out``, by default ``runs/<id>``. Raises UsageError: ``out`` holds something already."""
        path = Path("runs") / manifest.id if out is None else Path(out)
        try:
            text = encode_manifest(manifest)
        except BrokenRecord as error:
            raise HarnessError(
                f"a new manifest breaks the schema: {error}.", f"manifests follow {SCHEMA}.", _REPORT
            ) from None
        refuse_occupied(path)
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = Lock(path)
            refuse_occupied(path)  # another process may have begun here meanwhile
            (path / CASES).mkdir()
            write_atomically(path / MANIFEST, text)
            sync_folder(path)
            sync_folder(path.parent)
            writer = cls(path, lock)
            writer._began_with = made
            return writer
        except OSError as error:
            if error.errno in FULL:
                raise unwritable(path, error) from None
            raise UsageError(
                f"{path} cannot be written.", f"{error}.", "name a folder that you may write to."
            ) from None

    @classmethod
    def resume(cls, path: Path) -> RunWriter:
        """Go on with a run that was cut short, or that has damaged lines; these and a torn last line are dropped.

        ``resumed`` of the writer is what is left. Raises UsageError: it cannot be read, it is whole, or another process writes it.
        """
        path = Path(path)
        read_manifest(path)
        lock = Lock(path)
        try:
            found = read_lines(path)
            run = run_of(path, read_manifest(path), found)
            if run.complete and not run.damaged:
                raise UsageError(
                    f"{path} cannot be resumed.", "its last line says that it finished.", "start a new run."
                )
            # what follows is written before another end
            left = [line.text for line in found.records if not isinstance(line.record, RunFinished)]
            if run.damaged or not found.whole:
                write_atomically(path / RECORDS, b"".join(text + b"\n" for text in left))
            (path / CASES).mkdir(exist_ok=True)
            writer = cls(path, lock)
            writer._written.update(left)
            records = tuple(r for r in run.records if not isinstance(r, RunFinished))
            writer.resumed = Run(path, run.manifest, records)
            return writer
        except BaseException:
            lock.close()
            raise

    @property
    def at(self) -> float:
        """Seconds since the run was begun or resumed."""
        return round(time.monotonic() - self._began, 3)

    def write(self, *records: Record) -> None:
        """Append records, all at once; one that a resumed run holds already is left out.

        Raises HarnessError: one breaks the schema, or there is no room; then none is written.
        """
        try:
            lines = [encode(record) for record in records]
        except BrokenRecord as error:
            raise HarnessError(f"a record breaks the schema: {error}.", f"records follow {SCHEMA}.", _REPORT) from None
        with self._lock:
            if self._written:
                lines = [line for line in lines if sealed(line) not in self._written]
            if lines:
                self._records.append(lines)
                self._empty = self._empty and all(map(_of_surroundings, records))
            self._targets.update({identity(r): r for r in records if isinstance(r, TargetRecord)})

    @property
    def targets(self) -> list[TargetRecord]:
        """What every target answered when it was opened last, in this session or in an earlier one."""
        earlier = () if self.resumed is None else self.resumed.targets
        with self._lock:
            return list(({identity(r): r for r in earlier} | self._targets).values())

    def journal(self, entry: AnyEntry) -> None:
        """Append one unit to the journal. Raises HarnessError: there is no room."""
        with self._lock:
            self._journal.append([encode_entry(entry)])
            self._empty = self._empty and _of_surroundings(entry)

    def done(self, *unit: str | int, **data: object) -> None:
        """Journal a unit, and make all that was written durable."""
        self.journal(UnitDone(unit, self.at, data))
        self.sync()

    def sync(self) -> None:
        """Make all that was written durable: at the ends of targets, rounds and runs. Raises HarnessError: there is no room."""
        with self._lock:
            self._records.sync()
            self._journal.sync()
            sync_folder(self.path / CASES)

    def save_case(self, case: SavedCase) -> str:
        """Save a case once; returns its path relative to the run directory. Raises HarnessError: there is no room."""
        name = f"{CASES}/{case.id}.json"
        with self._lock:
            self._empty = False
            try:
                if not (self.path / name).exists():
                    write_atomically(self.path / name, case.dumps() + "\n")
            except OSError as error:
                raise unwritable(self.path / name, error) from None
        return name

    def close(self) -> None:
        """Close the files, durable, and let the folder go; twice is once.

        Raises HarnessError: what was written cannot be made durable; then the files are closed all the same.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.sync()
        finally:
            self._records.close()
            self._journal.close()
            self._alone.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, UsageError) and self._empty and self._began_with is not None:
            take_away(self.path, self._began_with)
        try:
            self.close()
        except HarnessError:
            if kind is None:  # else what ended the run is what counts
                raise


_REPORT = "this is a defect of the harness: please report it with the message above."


def refuse_occupied(path: Path | None, new: str = "run") -> None:
    """Raise UsageError where a new run cannot begin because the path holds something; before long work, not after it.

    ``new``: what would begin there.
    """
    if path is not None and path.exists() and (not path.is_dir() or any(path.iterdir())):
        why = "it holds files already" if path.is_dir() else "it is a file"
        raise UsageError(
            f"{path} cannot take a new {new}.", f"{why}, and a {new} overwrites nothing.", "name a new folder."
        )


def _of_surroundings(written: Record | AnyEntry) -> bool:
    """Whether what was written says only where the run takes place: its session, its targets, the memory of its machine."""
    if isinstance(written, UnitDone):
        return written.unit[0] == "memory"
    if isinstance(written, Timing):
        return written.pass_name == "copy"
    return isinstance(written, (SessionBegun, TargetRecord, Roof))


def take_away(path: Path, made: Sequence[Path] | None = None) -> None:
    """Remove a run that is worth nothing, and the folders that were made for it, the innermost first; what others hold stays."""
    with contextlib.suppress(OSError):
        for file in (*(path / name for name in (RECORDS, JOURNAL, MANIFEST)), *(path / CASES).glob("*.json")):
            file.unlink(missing_ok=True)
        for folder in (path / CASES, *([path] if made is None else made)):
            folder.rmdir()


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


__all__ = [
    "CASES",
    "MANIFEST",
    "RECORDS",
    "Run",
    "RunWriter",
    "SavedCase",
    "read_run",
    "refuse_occupied",
    "write_atomically",
]
