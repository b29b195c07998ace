"""The run directory: written line by line while a run goes on, read back whole.

    <run>/manifest.json     one Manifest
    <run>/records.jsonl     one record a line, append-only; the last line of a whole run is run_finished
    <run>/cases/<id>.json   saved cases

A run that was cut short, even in the middle of a line, can be read (``Run.complete`` is False) and resumed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, Protocol

from bnspec.errors import HarnessError, UsageError
from bnspec.reports.run.encoding import from_json, manifest_from_json, to_json
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
from bnspec.reports.run.validation import problem

MANIFEST, RECORDS, CASES = "manifest.json", "records.jsonl", "cases"


class SavedCase(Protocol):
    """What the store asks of a case: ``bnspec.model.case.Case`` has it."""

    @property
    def id(self) -> str:
        """Names the file."""

    def dumps(self) -> str:
        """The file's text."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run directory as read. Where a cell was written twice (a resumed run), the later record counts."""

    path: Path
    manifest: Manifest
    targets: tuple[TargetRecord, ...] = ()
    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    timings: tuple[Timing, ...] = ()
    targets_finished: tuple[TargetFinished, ...] = ()
    roofs: tuple[Roof, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    finished: RunFinished | None = None

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
        data = to_json(manifest)
        wrong = problem(data, "manifest")
        if wrong:
            raise HarnessError(f"the manifest breaks the schema: {wrong}.", f"manifests follow {SCHEMA}.", _REPORT)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            why = "it holds files already" if path.is_dir() else "it is a file"
            raise UsageError(
                f"{path} cannot take a new run.", f"{why}, and a run overwrites nothing.", "name a new folder."
            )
        try:
            (path / CASES).mkdir(parents=True, exist_ok=True)
            write_atomically(path / MANIFEST, json.dumps(data, indent=1, allow_nan=False) + "\n")
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
        data = to_json(record)
        wrong = problem(data)
        if wrong:
            raise HarnessError(f"a record breaks the schema: {wrong}.", f"records follow {SCHEMA}.", _REPORT)
        line = json.dumps(data, allow_nan=False).encode() + b"\n"
        try:
            with self._lock:
                self._records.write(line)
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
_AGAIN = "name a folder that bnspec verify or bnspec bench wrote, or restore the file."


def read_run(path: Path) -> Run:
    """Read a run directory. Raises UsageError: it is missing, is none, has another schema, or holds what breaks the schema."""
    path = Path(path)
    if not path.exists():
        raise UsageError(
            f"{path} does not exist.", "a run is a folder that bnspec verify or bnspec bench wrote.", "check the path."
        )
    if not (path / MANIFEST).is_file():
        raise UsageError(f"{path} is not a run directory.", f"it has no {MANIFEST}.", _AGAIN)
    found: dict[type, dict[object, Any]] = {}
    finished_at = 0
    for number, record in _records(path / RECORDS):
        if finished_at:
            raise UsageError(
                f"{path / RECORDS}, line {number}: a record after the end.",
                f"line {finished_at} is run_finished.",
                _AGAIN,
            )
        finished_at = number if isinstance(record, RunFinished) else 0
        found.setdefault(type(record), {})[identity(record)] = record
    of: dict[type, tuple[Any, ...]] = {kind: tuple(cells.values()) for kind, cells in found.items()}
    return Run(
        path,
        _manifest(path / MANIFEST),
        of.get(TargetRecord, ()),
        of.get(Finding, ()),
        of.get(Incident, ()),
        of.get(Timing, ()),
        of.get(TargetFinished, ()),
        of.get(Roof, ()),
        of.get(Comparison, ()),
        *of.get(RunFinished, ()),
    )


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


def _manifest(path: Path) -> Manifest:
    """The manifest, after its schema version and its fields were looked at."""
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read.", f"{error}.", _AGAIN) from None
    version = data.get("schema") if isinstance(data, dict) else None
    if version != SCHEMA:
        raise UsageError(
            f"{path} has schema {version!r}.",
            f"this version reads {SCHEMA}.",
            "use the version of bnspec that wrote it.",
        )
    wrong = problem(data, "manifest")
    if wrong:
        raise UsageError(f"{path} breaks the schema.", f"{wrong}.", _AGAIN)
    return manifest_from_json(data)


def _records(path: Path) -> list[tuple[int, Record]]:
    """Each record with its line number; a torn last line is left out."""
    lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    last = lines.pop()
    if last and not _torn(last):
        lines.append(last)
    return [(number, _record(path, number, line)) for number, line in enumerate(lines, 1)]


def _record(path: Path, number: int, line: bytes) -> Record:
    try:
        data = json.loads(line, parse_constant=_no_constant)
    except ValueError as error:
        raise UsageError(f"{path}, line {number}: not a record.", f"{error}.", _AGAIN) from None
    wrong = problem(data)
    if wrong or data["kind"] == "manifest":
        raise UsageError(
            f"{path}, line {number}: a record breaks the schema.", f"{wrong or 'it is a manifest'}.", _AGAIN
        )
    return from_json(data)


def _no_constant(name: str) -> None:
    """Refuse what Python's JSON reads beyond the standard."""
    raise ValueError(f"{name} is not JSON")


def _torn(line: bytes) -> bool:
    """Whether a last line without its newline was cut in the middle."""
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


__all__ = ["Run", "RunWriter", "SavedCase", "ratio_text", "ratio_value", "read_run", "write_atomically"]
