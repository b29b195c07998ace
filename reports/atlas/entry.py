"""An entry of the atlas: one release of a package on one kind of machine, as text whose lines change only with the results.

{
"package": "jax", "release": "0.4.20", ...
"backends": {
"jax.numpy": {
"status": "ready", ...
"verdicts": {
"running.var": {"float32": [12, 0], "float16": [5, 2]},
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from packaging.version import Version

from bnspec.errors import UsageError
from bnspec.model import names
from bnspec.model.saved_case import DEPTH_AT_MOST, nested_deeper
from bnspec.reports.run.bits import Digest
from bnspec.reports.run.fields import Count, DeviceName, Dotted, Ordinal, Word

SCHEMA = "bnspec-atlas/1"
#: Characters of a file.
TEXT_AT_MOST = 4 << 20

PackageName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(?:[._-][a-z0-9]+)*$(?!\n)", max_length=names.CHARACTERS)]
Release = Annotated[str, msgspec.Meta(pattern=r"^[0-9]+(?:\.[0-9]+)*(?:\.post[0-9]+)?$(?!\n)", max_length=40)]
Base = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?$(?!\n)", max_length=names.CHARACTERS)
]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$(?!\n)")]
Lock = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16,64}$(?!\n)")]
#: Cases of a clause in one domain that were judged, and how many of them deviate.
Cell = tuple[Ordinal, Count]


class BackendEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one backend does in this release.

    Attributes:
        status: of its target; reason: why it is not ready.
        verdicts: by clause and domain (the dtype of x), cases judged and deviating; what was not judged is not there.
        worst: by clause that deviates, its largest error / bound, two digits.
        declined: by reason, the clauses that were not judged at all because of it.
        conventions: by field, what experiments leave possible; declared: what the adapter declares where they decide nothing.
        stability: by output and dtype, the class of growth with kappa.
        times: by workload, the time over the NumPy row's.
        bits: by output, a digest over all cases of every seed that gave it.
    """

    status: Word
    reason: str = ""
    verdicts: dict[Dotted, dict[Word, Cell]] = {}
    worst: dict[Dotted, Word] = {}
    declined: dict[str, tuple[Dotted, ...]] = {}
    conventions: dict[Word, str] = {}
    declared: dict[Word, str] = {}
    stability: dict[Word, str] = {}
    times: dict[Word, float] = {}
    bits: dict[Word, Digest] = {}

    def __post_init__(self) -> None:
        if self.status != "ready" and (not self.reason or self.verdicts or self.conventions):
            raise ValueError("a backend that is not ready has a reason, and nothing else")
        for clause, cells in self.verdicts.items():
            if any(failing > judged for judged, failing in cells.values()):
                raise ValueError(f"{clause}: more cases deviate than were judged")
            if (clause in self.worst) != any(failing for _, failing in cells.values()):
                raise ValueError(f"{clause}: it has a worst ratio exactly where a case deviates")
        if both := self.verdicts.keys() & {clause for some in self.declined.values() for clause in some}:
            raise ValueError(f"{min(both)}: it was judged, and declined")

    def failing(self, clause: str) -> dict[str, int]:
        """By domain, how many cases deviate; without those that conform."""
        return {d: failing for d, (_, failing) in self.verdicts.get(clause, {}).items() if failing}


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One release.

    Attributes:
        package, release: what was installed; python, packages: with what; lock: a hash of both.
        device; machine: processor, architecture, system and cores that were used.
        bnspec, specification, seed, effort: what judged it; measured: the day.
        backends: by base name.
    """

    package: PackageName
    release: Release
    python: Word
    packages: dict[PackageName, Word]
    lock: Lock
    device: DeviceName
    machine: dict[Word, str]
    bnspec: Word
    specification: Word
    seed: Count
    effort: Word
    measured: Day
    backends: dict[Base, BackendEntry]
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(f"its schema is {self.schema}, this version of bnspec reads {SCHEMA}")
        if self.packages.get(self.package, "").partition("+")[0] != self.release:  # 2.13.0+cpu is a build of 2.13.0
            raise ValueError(f"{self.package} {self.release} is not among its packages")
        if not self.backends:
            raise ValueError("it has no backend")

    @property
    def version(self) -> Version:
        """For the order of releases."""
        return Version(self.release)

    @property
    def how(self) -> tuple[object, ...]:
        """What two entries have in common whose verdicts can be compared."""
        return self.bnspec, self.specification, self.seed, self.effort, self.device


_entries = msgspec.json.Decoder(Entry)


#: How deep the text has a line for each item: the entry, its backends, what is said of each, and each clause or convention.
LINES_DEEP = 4


def encode_entry(entry: Entry) -> str:
    """The text of an entry: one line for each clause, convention and so on, sorted."""
    return "".join(_lines(msgspec.to_builtins(entry), LINES_DEEP)) + "\n"


def _lines(value: Any, depth: int) -> Iterator[str]:
    """JSON with a line for each item of the outer dictionaries."""
    if not isinstance(value, Mapping) or not value or not depth:
        yield json.dumps(value, sort_keys=True)
        return
    yield "{\n"
    for number, key in enumerate(sorted(value)):
        yield ("" if number == 0 else ",\n") + json.dumps(key) + ": "
        yield from _lines(value[key], depth - 1)
    yield "\n}"


def decode_entry(text: str, place: Path) -> Entry:
    """The inverse of ``encode_entry``. Raises UsageError: it is no entry, or contradicts itself."""
    why = ""
    if len(text) > TEXT_AT_MOST:
        why = f"it has more than {TEXT_AT_MOST} characters"
    elif nested_deeper(text, DEPTH_AT_MOST):
        why = f"more than {DEPTH_AT_MOST} of its brackets are open at once"
    else:
        try:
            return _entries.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            why = re.sub(r"\s+", " ", str(error))
    raise UsageError(f"{place} is no entry of the atlas.", f"{why}.", "measure it again: remove it, then make atlas.")
