"""The journal of a run: what each unit of its work gave, so that a run that was cut short goes on where it ended.

    <run>/journal.jsonl     one entry a line, append-only: a case judged on a target, a process timed, ...

Only ``--resume`` reads it; reports read the records. A line that is damaged, or of another version, costs its unit, which is
then done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bnspec.reports.run.bits import CaseBits
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.fields import Ratio
from bnspec.reports.run.files import lines
from bnspec.reports.run.lines import split, unsealed

JOURNAL = "journal.jsonl"


class Entry(msgspec.Struct, frozen=True, tag_field="kind", omit_defaults=True):
    """The base of all entries. ``at``: seconds since the run was begun or resumed."""


class SessionBegun(Entry, frozen=True, tag="session_begun"):
    """The run was begun or resumed; ``at`` of later entries counts from here."""

    started: str


class Broken(msgspec.Struct, frozen=True, omit_defaults=True):
    """A clause that a case breaks; ``known``: the known deviation that covers it."""

    clause: str
    ratio: Ratio
    evidence: Evidence
    message: str
    known: KnownDeviation | None = None


class JudgedCase(Entry, frozen=True, tag="judged_case"):
    """A case on a target.

    Attributes:
        order: the case's number in the run; case: its id; status: how it ended.
        kept: by clause, error / bound where it is kept; broken: the clauses that are not; declined: by clause, why.
        seconds: where the time of this case went; elements: of all its arrays, where a clause is broken.
        bits: of what came, where the case is the same for every seed.
    """

    backend: str
    device: str
    order: int
    case: str
    status: str
    at: float
    kept: dict[str, float] = {}
    broken: tuple[Broken, ...] = ()
    declined: dict[str, str] = {}
    seconds: dict[str, float] = {}
    elements: int = 0
    bits: CaseBits | None = None


class UnitDone(Entry, frozen=True, tag="unit_done"):
    """Another unit: ``unit`` names it, e.g. ("process", contender, number); ``data``: what only resuming needs."""

    unit: tuple[str | int, ...]
    at: float
    data: dict[str, object] = {}


AnyEntry = SessionBegun | JudgedCase | UnitDone
_entries: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


def encode_entry(entry: AnyEntry) -> bytes:
    """An entry as one line, without its newline and its checksum."""
    return msgspec.json.encode(entry)


def read_journal(path: Path) -> list[AnyEntry]:
    """The entries of a run directory that are whole, in their order; none where there is no journal.

    Raises UsageError: it leads out of the directory, or is too large.
    """
    file = path / JOURNAL
    found: list[AnyEntry] = []
    for _, line, _ in split(lines(path, JOURNAL) if file.exists() or file.is_symlink() else ()):
        body = unsealed(line)
        if body is None or body is line:  # every entry was sealed
            continue
        try:
            found.append(_entries.decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, RecursionError):
            continue
    return found


def seconds_before(entries: Sequence[AnyEntry]) -> float:
    """How long the run has worked so far: the sum over its sessions, each as far as its last entry."""
    total, last = 0.0, 0.0
    for entry in entries:
        if isinstance(entry, SessionBegun):
            total, last = total + last, 0.0
        else:
            last = max(last, entry.at)
    return total + last
