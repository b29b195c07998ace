"""What changed from one release to the next, each change seen in both environments: a file beside the entries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from bnspec.errors import UsageError
from bnspec.reports.atlas.entry import TEXT_AT_MOST, Base, Day, PackageName, Release
from bnspec.reports.compare.change import Direction, Kind
from bnspec.reports.run.bits import CaseId
from bnspec.reports.run.fields import Count, Word
from bnspec.reports.run.vocabulary import Level

#: How a change was seen: the case was run and judged again in both environments; a script of the framework and NumPy alone
#: ran in both; the experiment was made again in both.
Means = Literal["case", "script", "experiment"]


class Sight(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What was seen of a change, again, in both environments.

    Attributes:
        means: how; before, after: what came, in a few words. They differ, or nothing was seen.
    """

    means: Means
    before: Word
    after: Word

    def __post_init__(self) -> None:
        if self.before == self.after:
            raise ValueError(f"the same was seen in both environments: {self.before}")


class AtlasChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One change.

    Attributes:
        backend: base name; kind, what, level, direction, before, after: as in ``bnspec compare``.
        cases: how many cases show it; case: the id of the one that is kept under cases/.
        message: of the side that fails.
        sights: how it was seen in both environments.
    """

    backend: Base
    kind: Kind
    what: Word
    direction: Direction
    before: str
    after: str
    level: Level | None = None
    cases: Count = 0
    case: CaseId | None = None
    message: str = ""
    sights: Annotated[tuple[Sight, ...], msgspec.Meta(min_length=1)]


class Changes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The changes from one release to the next that is in the atlas.

    Attributes:
        companions: what else changed from one environment to the other, as "name before after".
        unseen: changes that the runs showed and that were not seen again: "backend kind what".
        left_out: kinds of changes that were not looked at again, with their number.
    """

    package: PackageName
    before: Release
    after: Release
    seen: Day
    changes: tuple[AtlasChange, ...] = ()
    companions: tuple[Word, ...] = ()
    unseen: tuple[Word, ...] = ()
    left_out: dict[Word, Count] = {}


_changes = msgspec.json.Decoder(Changes)


def encode_changes(changes: Changes) -> str:
    """The text of the file: a line for each change."""
    data: dict[str, Any] = msgspec.to_builtins(changes)
    rows = data.pop("changes", [])
    head = json.dumps(data, sort_keys=True)[1:-1]
    listed = ",\n".join(json.dumps(row, sort_keys=True) for row in rows)
    return "{" + head + ', "changes": [' + (f"\n{listed}\n" if rows else "") + "]}\n"


def decode_changes(text: str, place: Path) -> Changes:
    """The inverse of ``encode_changes``. Raises UsageError: it is none."""
    try:
        if len(text) > TEXT_AT_MOST:
            raise msgspec.ValidationError(f"it has more than {TEXT_AT_MOST} characters")
        return _changes.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(
            f"{place} holds no changes of the atlas.",
            re.sub(r"\s+", " ", f"{error}."),
            "find them again: remove it, then make atlas.",
        ) from None
