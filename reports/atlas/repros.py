"""Repro scripts of the atlas: what one prints in each release, recorded beside it.

FOLDER/PACKAGE/repros/NAME.py     the framework and NumPy alone; its docstring says what is asked; the last line printed is the answer
FOLDER/PACKAGE/repros/NAME.json   what it printed in the environment of each release: Printed
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from bnspec.errors import UsageError
from bnspec.reports.atlas.entry import TEXT_AT_MOST, Release
from bnspec.reports.run.fields import Word

REPROS = "repros"
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}$(?!\n)")]
_RUN_AGAIN = "run it again: make atlas."


class Printed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a script printed.

    Attributes:
        script: the digest of the script that printed it; releases: by release, the last line.
    """

    script: Digest
    releases: dict[Release, Word]


@dataclass(frozen=True)
class Stretch:
    """Releases one after the other in which a script prints the same."""

    first: str
    last: str
    line: str


@dataclass(frozen=True)
class Repro:
    """A script, and what it printed.

    Attributes: name: its file's, without the ending; asks: its docstring; path: the script.
    """

    name: str
    asks: str
    path: Path
    printed: Printed

    @property
    def current(self) -> bool:
        """Whether it is this script that printed it."""
        return self.printed.script == digest_of(self.path)

    def stretches(self, releases: Sequence[str]) -> list[Stretch]:
        """What it prints over releases, the oldest first; those in which it was not run are passed over."""
        found: list[Stretch] = []
        for release in releases:
            line = self.printed.releases.get(release)
            if line is None:
                continue
            if found and found[-1].line == line:
                found[-1] = Stretch(found[-1].first, release, line)
            else:
                found.append(Stretch(release, release, line))
        return found


_printed = msgspec.json.Decoder(Printed)


def digest_of(script: Path) -> str:
    """Of its text."""
    return hashlib.sha256(script.read_bytes()).hexdigest()[:16]


def asked_by(script: Path) -> str:
    """The first sentence of its docstring. Raises UsageError: it has none."""
    try:
        said = ast.get_docstring(ast.parse(script.read_text("utf-8")))
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{script} is no Python.", f"{error}.", "mend it.") from None
    if not said:
        raise UsageError(f"{script} does not say what it asks.", "it has no docstring.", "write one.")
    return re.sub(r"\s+", " ", said)


def encode_printed(printed: Printed) -> str:
    """The text of the record: a line for each release, in the order given."""
    rows = ",\n".join(f"{json.dumps(r)}: {json.dumps(line)}" for r, line in printed.releases.items())
    return f'{{"script": "{printed.script}", "releases": {{\n{rows}\n}}}}\n'


def read_printed(path: Path) -> Printed:
    """A record; one of nothing where there is none. Raises UsageError: the file is no record."""
    if not path.exists():
        return Printed("0" * 16, {})
    text = path.read_text("utf-8")
    try:
        if len(text) > TEXT_AT_MOST:
            raise msgspec.ValidationError(f"it has more than {TEXT_AT_MOST} characters")
        return _printed.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"{path} holds nothing that a script printed.", f"{error}.", _RUN_AGAIN) from None


def scripts_of(folder: Path) -> list[Path]:
    """The scripts of a package's folder."""
    return sorted((folder / REPROS).glob("*.py"))


def read_repros(folder: Path, releases: Sequence[str]) -> tuple[Repro, ...]:
    """The repros of a package. Raises UsageError: a record is of another script, of a release that is not in the atlas, or of none."""
    found = []
    for script in scripts_of(folder):
        repro = Repro(script.stem, asked_by(script), script, read_printed(script.with_suffix(".json")))
        if not repro.current:
            raise UsageError(f"{script} was not run.", "its record is of another script.", _RUN_AGAIN)
        if strangers := repro.printed.releases.keys() - set(releases):
            raise UsageError(f"{script} was run in {min(strangers)}.", "the atlas has no such release.", _RUN_AGAIN)
        if len(repro.stretches(releases)) < 2:
            raise UsageError(f"{script} shows no change.", "it prints the same in every release.", "remove it.")
        found.append(repro)
    if lost := sorted({p.stem for p in (folder / REPROS).glob("*.json")} - {r.name for r in found}):
        raise UsageError(f"{folder / REPROS / lost[0]}.json has no script.", "the script is gone.", "remove it.")
    return tuple(found)
