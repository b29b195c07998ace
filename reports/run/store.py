"""The run directory: written line by line while a run goes on, read back whole.

    <run>/manifest.json     one Manifest
    <run>/records.jsonl     one record a line, append-only; the last line of a whole run is run_finished
    <run>/cases/<id>.json   saved cases

A run that was cut short, even in the middle of a line, can be read (``Run.complete`` is False) and resumed.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import msgspec

from bnspec.errors import HarnessError, UsageError
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.codec import BrokenRecord, decode, decode_manifest, encode, encode_manifest
from bnspec.reports.run.conventions import Convention, Translation
from bnspec.reports.run.files import MANIFEST_AT_MOST, content, lines
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
    """A run directory as read. Where a cell was written twice (a resumed run), the later record counts."""

    path: Path
    manifest: Manifest
    records: tuple[Record, ...] = ()

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
    """Writes a run directory; many threads may write. Use as a context manager, or call ``close``."""

    def __init__(self, path: Path) -> None:
        """Open the records of an existing run directory for appending; see ``create`` and ``resume``."""
        self.path = path
        self._lock = threading.Lock()
        self._records: IO[bytes] = (path / RECORDS).open("ab")

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
            (path / CASES).mkdir(parents=True, exist_ok=True)
            write_atomically(path / MANIFEST, text)
            return cls(path)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be written.", f"{error}.", "name a folder that you may write to."
            ) from None

    @classmethod
    def resume(cls, path: Path) -> RunWriter:
        """Go on with a run that was cut short; a torn last line is dropped. Raises UsageError: it cannot be read, or it is whole."""
        path = Path(path)
        if read_run(path).complete:
            raise UsageError(f"{path} cannot be resumed.", "its last line says that it finished.", "start a new run.")
        records = path / RECORDS
        text = records.read_bytes() if records.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        tail = text[len(whole) :]
        if tail and not _torn(tail):
            whole += tail + b"\n"
        if whole != text:
            write_atomically(records, whole)
        (path / CASES).mkdir(exist_ok=True)
        return cls(path)

    def write(self, record: Record) -> None:
        """Append one record, flushed. Raises HarnessError: it breaks the schema."""
        try:
            line = encode(record)
        except BrokenRecord as error:
            raise HarnessError(f"a record breaks the schema: {error}.", f"records follow {SCHEMA}.", _REPORT) from None
        try:
            with self._lock:
                self._records.write(line + b"\n")
                self._records.flush()
        except OSError as error:
            raise HarnessError(
                f"{self.path / RECORDS} cannot be written.", f"{error}.", "make room, then resume the run."
            ) from None

    def save_case(self, case: SavedCase) -> str:
        """Save a case once; returns its path relative to the run directory."""
        name = f"{CASES}/{case.id}.json"
        with self._lock:
            if not (self.path / name).exists():
                write_atomically(self.path / name, case.dumps() + "\n")
        return name

    def close(self) -> None:
        """Close the file of records."""
        self._records.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    """Read a run directory. Raises UsageError: it is missing, is none, has another schema, or holds what breaks the schema."""
    path = Path(path)
    if not path.exists():
        raise UsageError(
            f"{path} does not exist.", "a run is a folder that a command of bnspec wrote.", "check the path."
        )
    if not (path / MANIFEST).is_file():
        raise UsageError(f"{path} is not a run directory.", f"it has no {MANIFEST}.", _AGAIN)
    manifest = _manifest(path)
    found: dict[tuple[object, ...], Record] = {}
    finished_at = 0
    for number, record in _records(path):
        if finished_at:
            raise UsageError(
                f"{path / RECORDS}, line {number}: a record after the end.",
                f"line {finished_at} is run_finished.",
                _AGAIN,
            )
        finished_at = number if isinstance(record, RunFinished) else 0
        found[type(record), *identity(record)] = record
    return Run(path, manifest, tuple(found.values()))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a half."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
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


def _records(folder: Path) -> Iterator[tuple[int, Record]]:
    """Each record with its line number; a torn last line is left out."""
    path = folder / RECORDS
    for number, line in enumerate(lines(folder, RECORDS) if path.exists() or path.is_symlink() else (), 1):
        if line.endswith(b"\n") or not _torn(line):
            yield number, _record(path, number, line)


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        return decode(line)
    except BrokenRecord as error:
        raise UsageError(f"{path}, line {number}: a record breaks the schema.", f"{error}.", _AGAIN) from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}, line {number}: not a record.", f"{error}.", _AGAIN) from None


def _torn(line: bytes) -> bool:
    """Whether a last line without its newline was cut in the middle."""
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    return False


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
