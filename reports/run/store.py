"""The run directory: written line by line while a run goes on, read back whole.

    <run>/manifest.json     one Manifest
    <run>/records.jsonl     one record a line, append-only; the last line of a whole run is run_finished
    <run>/journal.jsonl     one unit of work a line; for ``--resume`` alone
    <run>/cases/<id>.json   saved cases

A run that was cut short, even in the middle of a line, can be read (``Run.complete`` is False) and resumed. A damaged line
costs that line, and is said. One process writes at a time.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
import io
import os
import re
import tempfile
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from bnspec.errors import HarnessError, UsageError
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.codec import BrokenRecord, decode, decode_manifest, encode, encode_manifest
from bnspec.reports.run.conventions import Convention, Translation
from bnspec.reports.run.files import MANIFEST_AT_MOST, content, lines
from bnspec.reports.run.journal import JOURNAL, AnyEntry, SessionBegun, UnitDone, encode_entry
from bnspec.reports.run.lines import Damaged, LineFile, is_sealed, sealed, split, sync_folder, unsealed, unwritable
from bnspec.reports.run.lock import Lock
from bnspec.reports.run.mutants import ClauseKills, KillMatrix, Mutant, Variant
from bnspec.reports.run.records import (
    SCHEMA,
    Comparison,
    Finding,
    Incident,
    Manifest,
    Record,
    Roof,
    RunFinished,
    TargetFinished,
    TargetRecord,
    Timing,
    identity,
    ratio_text,
    ratio_value,
)
from bnspec.reports.run.stability import NotMeasured, Reach, StabilityCurve, StabilityPoint

MANIFEST, RECORDS, CASES = "manifest.json", "records.jsonl", "cases"


class SavedCase(Protocol):
    """What the store asks of a case: ``bnspec.model.case.Case`` has it."""

    @property
    def id(self) -> str:
        """Names the file."""

    def dumps(self) -> str:
        """The file's text."""


_R = TypeVar("_R", bound=Record)


@dataclasses.dataclass(frozen=True)
class Run:
    """A run directory as read. Where a cell was written twice (a resumed run), the later record counts.

    ``damaged``: lines of the records that were left out, because they are not what was written.
    """

    path: Path
    manifest: Manifest
    records: tuple[Record, ...] = ()
    damaged: tuple[Damaged, ...] = ()

    @cached_property
    def _by_kind(self) -> dict[type, tuple[Any, ...]]:
        found: dict[type, list[Record]] = {}
        for record in self.records:
            found.setdefault(type(record), []).append(record)
        return {kind: tuple(records) for kind, records in found.items()}

    def of(self, kind: type[_R]) -> tuple[_R, ...]:
        """The records of one kind, in their order."""
        found: tuple[_R, ...] = self._by_kind.get(kind, ())
        return found

    @property
    def targets(self) -> tuple[TargetRecord, ...]:
        """Every target that was opened, or why it was not."""
        return self.of(TargetRecord)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Clauses on targets."""
        return self.of(Finding)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What is behind the findings that fail."""
        return self.of(Cause)

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Cases without an answer."""
        return self.of(Incident)

    @property
    def timings(self) -> tuple[Timing, ...]:
        """Workloads timed, one record for each process."""
        return self.of(Timing)

    @property
    def roofs(self) -> tuple[Roof, ...]:
        """How fast the memory is."""
        return self.of(Roof)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Pairs of contenders on workloads."""
        return self.of(Comparison)

    @property
    def conventions(self) -> tuple[Convention, ...]:
        """What experiments found of each convention."""
        return self.of(Convention)

    @property
    def translations(self) -> tuple[Translation, ...]:
        """Layers handed over from one target to another."""
        return self.of(Translation)

    @property
    def stability_curves(self) -> tuple[StabilityCurve, ...]:
        """How errors grow."""
        return self.of(StabilityCurve)

    @property
    def stability_points(self) -> tuple[StabilityPoint, ...]:
        """The points of the curves."""
        return self.of(StabilityPoint)

    @property
    def not_measured(self) -> tuple[NotMeasured, ...]:
        """What a stability study could not measure."""
        return self.of(NotMeasured)

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """Up to which kappa data could be made."""
        return self.of(Reach)

    @property
    def mutants(self) -> tuple[Mutant, ...]:
        """Mutants, and what killed them."""
        return self.of(Mutant)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Correct variants, and what accused them."""
        return self.of(Variant)

    @property
    def clause_kills(self) -> tuple[ClauseKills, ...]:
        """What each clause kills."""
        return self.of(ClauseKills)

    @property
    def kill_matrices(self) -> tuple[KillMatrix, ...]:
        """The kill matrix as a whole; one of each run."""
        return self.of(KillMatrix)

    @property
    def targets_finished(self) -> tuple[TargetFinished, ...]:
        """Targets whose share of the run is complete."""
        return self.of(TargetFinished)

    @property
    def finished(self) -> RunFinished | None:
        """The last record of a run that reached its end."""
        return next(iter(self.of(RunFinished)), None)

    @property
    def complete(self) -> bool:
        """Whether the run reached its end."""
        return self.finished is not None


class RunWriter:
    """Writes a run directory, alone; many threads may write. Use as a context manager, or call ``close``."""

    def __init__(self, path: Path, lock: Lock | None = None) -> None:
        """Open the records of an existing run directory for appending; see ``create`` and ``resume``."""
        self.path = path
        self._lock, self._began = threading.Lock(), time.monotonic()
        self._alone = lock or Lock(path)
        self._records, self._journal = LineFile(path / RECORDS), LineFile(path / JOURNAL)
        self._written: set[bytes] = set()
        self._closed = False
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
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = Lock(path)
            refuse_occupied(path)  # another process may have begun here meanwhile
            (path / CASES).mkdir()
            write_atomically(path / MANIFEST, text)
            sync_folder(path)
            sync_folder(path.parent)
            return cls(path, lock)
        except OSError as error:
            if error.errno in FULL:
                raise unwritable(path, error) from None
            raise UsageError(
                f"{path} cannot be written.", f"{error}.", "name a folder that you may write to."
            ) from None

    @classmethod
    def resume(cls, path: Path) -> RunWriter:
        """Go on with a run that was cut short, or that has damaged lines; these and a torn last line are dropped.

        Raises UsageError: it cannot be read, it is whole, or another process writes it.
        """
        path = Path(path)
        read_run(path)
        lock = Lock(path)
        try:
            run = read_run(path)
            if run.complete and not run.damaged:
                raise UsageError(
                    f"{path} cannot be resumed.", "its last line says that it finished.", "start a new run."
                )
            records = path / RECORDS
            old = records.read_bytes() if records.exists() else b""
            dropped = {d.number for d in run.damaged}
            numbered = split(io.BytesIO(old))
            whole_lines = [line for number, line, _ in numbered if number not in dropped and _whole(line)]
            if run.damaged:
                whole_lines = [line for line in whole_lines if b'"kind":"run_finished"' not in line]
            whole = b"".join(line + b"\n" for line in whole_lines)
            if whole != old:
                write_atomically(records, whole)
            (path / CASES).mkdir(exist_ok=True)
            writer = cls(path, lock)
            writer._written.update(whole_lines)
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

    def journal(self, entry: AnyEntry) -> None:
        """Append one unit to the journal. Raises HarnessError: there is no room."""
        with self._lock:
            self._journal.append([encode_entry(entry)])

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
        try:
            self.close()
        except HarnessError:
            if kind is None:  # else what ended the run is what counts
                raise


#: The system's words for a full disk and for a full quota.
FULL = (errno.ENOSPC, errno.EDQUOT)
_REPORT = "this is a defect of the harness: please report it with the message above."
_AGAIN = "name a run directory that bnspec wrote, or restore the file."


def refuse_occupied(path: Path | None) -> None:
    """Raise UsageError where a new run cannot begin because the path holds something; before long work, not after it."""
    if path is not None and path.exists() and (not path.is_dir() or any(path.iterdir())):
        why = "it holds files already" if path.is_dir() else "it is a file"
        raise UsageError(
            f"{path} cannot take a new run.", f"{why}, and a run overwrites nothing.", "name a new folder."
        )


def read_run(path: Path) -> Run:
    """Read a run directory; a line that is damaged is left out and named in ``Run.damaged``.

    Raises UsageError: it is missing, is none, has another schema, or holds what breaks the schema.
    """
    path = Path(path)
    if not path.exists():
        raise UsageError(
            f"{path} does not exist.", "a run is a folder that a command of bnspec wrote.", "check the path."
        )
    if not (path / MANIFEST).is_file():
        raise UsageError(f"{path} is not a run directory.", f"it has no {MANIFEST}.", _AGAIN)
    manifest = _manifest(path)
    found: dict[tuple[object, ...], Record] = {}
    records, damaged = _records(path)
    finished_at = 0
    for number, record in records:
        if finished_at:
            raise UsageError(
                f"{path / RECORDS}, line {number}: a record after the end.",
                f"line {finished_at} is run_finished.",
                _AGAIN,
            )
        finished_at = number if isinstance(record, RunFinished) else 0
        found[type(record), *identity(record)] = record
    return Run(path, manifest, tuple(found.values()), tuple(damaged))


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


class _Version(msgspec.Struct):
    """Of a manifest of whatever version: its schema, and the version of bnspec that wrote it."""

    schema: str = ""
    bnspec: str = ""


#: Schemas that this version does not read any more, with the last version of bnspec that does.
_EARLIER = {"bnspec-run/1": "0.1"}


def _manifest(folder: Path) -> Manifest:
    """The manifest. Raises UsageError: it is of another version, or breaks the schema."""
    path, text = folder / MANIFEST, content(folder, MANIFEST, MANIFEST_AT_MOST)
    try:
        version = msgspec.json.decode(text, type=_Version)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read.", f"{error}.", _AGAIN) from None
    if version.schema != SCHEMA:
        why = f"this version of bnspec reads {SCHEMA} only"
        if version.schema in _EARLIER:
            fix = f"read it with bnspec {_EARLIER[version.schema]}, or run its command again with this version."
        elif re.fullmatch(r"bnspec-run/\d{1,9}", version.schema):
            fix = f"read it with bnspec {version.bnspec[:40] or 'as new as the one that wrote it'}, which wrote it."
        else:
            fix = _AGAIN
        raise UsageError(f"{path} has schema {version.schema[:40]!r}.", f"{why}.", fix)
    try:
        return decode_manifest(text)
    except (BrokenRecord, msgspec.DecodeError) as error:
        raise UsageError(f"{path} breaks the schema.", f"{error}.", _AGAIN) from None


def _records(folder: Path) -> tuple[list[tuple[int, Record]], list[Damaged]]:
    """Each record with its line number, and the lines that are damaged; a torn last line is left out.

    Raises UsageError: a line breaks the schema, and is what was written.
    """
    path = folder / RECORDS
    records: list[tuple[int, Record]] = []
    damaged: list[Damaged] = []
    found = list(split(lines(folder, RECORDS) if path.exists() or path.is_symlink() else ()))
    have_seals = any(is_sealed(line) for _, line, _ in found)
    for number, line, ended in found:
        if not _whole(line):
            if ended:
                why = "its checksum is wrong" if unsealed(line) is None else "it is no JSON"
                damaged.append(Damaged(number, why))
            continue
        try:
            records.append((number, decode(unsealed(line) or line)))
        except BrokenRecord as error:
            if have_seals and not is_sealed(line):
                damaged.append(Damaged(number, "it has no checksum, and is no record"))
                continue
            where = f"{path}, line {number}: a record breaks the schema."
            raise UsageError(where, f"{error}.", _AGAIN) from None
    return records, damaged


def _whole(line: bytes) -> bool:
    """Whether a line is what was written: its checksum is right, and it is JSON."""
    body = unsealed(line)
    if body is None:
        return False
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


__all__ = [
    "Run",
    "RunWriter",
    "SavedCase",
    "ratio_text",
    "ratio_value",
    "read_run",
    "refuse_occupied",
    "write_atomically",
]
