"""A run directory read back: its manifest and its records, each line once.

A run that was cut short, even in the middle of a line, can be read (``Run.complete`` is False). A damaged line costs that line,
and is said.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from bnspec.errors import UsageError
from bnspec.reports.run.bits import Bits
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.codec import BrokenRecord, decode, decode_manifest
from bnspec.reports.run.conventions import Convention, Translation
from bnspec.reports.run.files import MANIFEST_AT_MOST, content, lines
from bnspec.reports.run.lines import Damaged, split, unsealed
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
)
from bnspec.reports.run.stability import NotMeasured, Reach, StabilityCurve

MANIFEST, RECORDS = "manifest.json", "records.jsonl"

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
    def bits(self) -> tuple[Bits, ...]:
        """Digests of what the targets gave."""
        return self.of(Bits)

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


_AGAIN = "name a run directory that bnspec wrote, or restore the file."


def read_run(path: Path) -> Run:
    """Read a run directory; a line that is damaged is left out and named in ``Run.damaged``.

    Raises UsageError: it is missing, is none, has another schema, or holds what breaks the schema.
    """
    path = Path(path)
    return run_of(path, read_manifest(path), read_lines(path))


def read_manifest(path: Path) -> Manifest:
    """The manifest of a run directory alone. Raises UsageError: it is missing, is none, or has another schema."""
    if not path.exists():
        raise UsageError(
            f"{path} does not exist.", "a run is a folder that a command of bnspec wrote.", "check the path."
        )
    if not (path / MANIFEST).is_file():
        raise UsageError(f"{path} is not a run directory.", f"it has no {MANIFEST}.", _AGAIN)
    return _manifest(path)


class Line(NamedTuple):
    """A line of the records: its number, itself without its line feed, and its record."""

    number: int
    text: bytes
    record: Record


class Lines(NamedTuple):
    """The lines that are records, and those that are damaged; ``whole``: there is nothing else, and the last has its end."""

    records: list[Line]
    damaged: list[Damaged]
    whole: bool


def run_of(path: Path, manifest: Manifest, lines: Lines) -> Run:
    """The run that the lines hold. Raises UsageError: a record stands after the end."""
    found: dict[tuple[object, ...], Record] = {}
    finished_at = 0
    for number, _, record in lines.records:
        if finished_at:
            raise UsageError(
                f"{path / RECORDS}, line {number}: a record after the end.",
                f"line {finished_at} is run_finished.",
                _AGAIN,
            )
        finished_at = number if isinstance(record, RunFinished) else 0
        found[type(record), *identity(record)] = record
    return Run(path, manifest, tuple(found.values()), tuple(lines.damaged))


def read_lines(folder: Path) -> Lines:
    """The lines of the records; a torn last line is left out.

    Raises UsageError: a line breaks the schema, and is what was written.
    """
    path = folder / RECORDS
    found: list[Line] = []
    damaged: list[Damaged] = []
    without_seal: list[tuple[int, str]] = []  # whole, and no records: damaged if other lines have seals
    have_seals, whole = False, True
    for number, line, ended in split(lines(folder, RECORDS) if path.exists() or path.is_symlink() else ()):
        body = unsealed(line)
        sealed = body is not line
        have_seals, whole = have_seals or sealed, whole and ended
        if body is None:
            if ended:
                damaged.append(Damaged(number, "its checksum is wrong"))
            continue
        try:
            found.append(Line(number, line, decode(body)))
        except (BrokenRecord, msgspec.DecodeError) as error:
            if not _is_json(body):
                if ended:
                    damaged.append(Damaged(number, "it is no JSON"))
            elif sealed:
                raise _breaks(path, number, str(error)) from None
            else:
                without_seal.append((number, str(error)))
    if without_seal and not have_seals:
        raise _breaks(path, *without_seal[0])
    damaged += [Damaged(number, "it has no checksum, and is no record") for number, _ in without_seal]
    return Lines(found, sorted(damaged), whole and not damaged)


def _breaks(path: Path, number: int, why: str) -> UsageError:
    return UsageError(f"{path}, line {number}: a record breaks the schema.", f"{why}.", _AGAIN)


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


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
