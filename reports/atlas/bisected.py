"""Bisections that the atlas keeps: documents of ``bnspec bisect --json``, which name the one release that lies between two entries."""

from __future__ import annotations

from pathlib import Path

import msgspec
from packaging.version import InvalidVersion, Version

from bnspec.errors import UsageError
from bnspec.reports.atlas.changes import AtlasChange, Changes
from bnspec.reports.atlas.entry import TEXT_AT_MOST, Base, PackageName, Release
from bnspec.reports.run.fields import Word


class Isolated(msgspec.Struct, frozen=True):
    """Where the change comes from, in one sentence."""

    sentence: Word


class Bisected(msgspec.Struct, frozen=True):
    """A bisection that found one change.

    Attributes:
        question: "convention running_correction", "MUST running.var", "case 0123456789ab"; last_before, first_after: the releases on both sides.
    """

    package: PackageName
    backend: Base
    question: Word
    last_before: Release
    first_after: Release
    monotonic: bool
    isolation: Isolated

    @property
    def sentence(self) -> str:
        """What was found."""
        one = "" if self.monotonic else ", and not only there"
        return f"first in {self.first_after}{one}; {self.isolation.sentence}"

    def explains(self, changes: Changes, change: AtlasChange) -> bool:
        """Whether it speaks of this change: of its clause, convention or case, between its releases."""
        try:
            before, last, first, after = map(
                Version, (changes.before, self.last_before, self.first_after, changes.after)
            )
        except InvalidVersion:
            return False
        same = (self.package, self.backend) == (changes.package, change.backend)
        asked = self.question.split()[-1] == change.what or self.question == f"case {change.case}"
        return same and asked and before <= last < first <= after


_documents = msgspec.json.Decoder(Bisected)


def read_bisections(folder: Path) -> tuple[Bisected, ...]:
    """The bisections of a folder, none where there is none. Raises UsageError: a file is none that found a change."""
    found = []
    for path in sorted(folder.glob("*.json")):
        text = path.read_text("utf-8")
        try:
            if len(text) > TEXT_AT_MOST:
                raise msgspec.ValidationError(f"it has more than {TEXT_AT_MOST} characters")
            found.append(_documents.decode(text))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UsageError(
                f"{path} is no bisection that found a change.", f"{error}.", "write it with bnspec bisect --json."
            ) from None
    return tuple(found)
