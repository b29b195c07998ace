"""The atlas as a whole: read from its folder, in the order of releases; what contradicts itself is refused.

FOLDER/PACKAGE/RELEASE.json            an Entry
FOLDER/PACKAGE/RELEASE.changes.json    Changes from the release before it
FOLDER/PACKAGE/cases/ID.json           cases that show changes
FOLDER/PACKAGE/bisections/NAME.json    what bnspec bisect --json printed
FOLDER/PACKAGE/repros/NAME.py          scripts, with what they print in each release: see ``repros``
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bnspec
from bnspec.clauses import VERSION
from bnspec.errors import UsageError
from bnspec.reports.atlas.bisected import Bisected, read_bisections
from bnspec.reports.atlas.changes import AtlasChange, Changes, decode_changes
from bnspec.reports.atlas.entry import Entry, decode_entry
from bnspec.reports.atlas.repros import Repro, read_repros

#: Where the repository keeps it.
FOLDER = Path("docs/atlas")
CASES, BISECTIONS, CHANGES = "cases", "bisections", ".changes.json"
_AGAIN = "measure it again: remove it, then make atlas."


@dataclass(frozen=True)
class Package:
    """One package: its entries, oldest release first, the changes by the release that brought them, bisections and repros."""

    name: str
    entries: tuple[Entry, ...]
    changes: Mapping[str, Changes] = field(default_factory=dict)
    bisections: tuple[Bisected, ...] = ()
    repros: tuple[Repro, ...] = ()

    @property
    def pairs(self) -> Iterator[tuple[Entry, Entry]]:
        """Each release with the next."""
        return itertools.pairwise(self.entries)

    def cause(self, changes: Changes, change: AtlasChange) -> str:
        """What a bisection found of a change; empty where none was made."""
        return next((b.sentence for b in self.bisections if b.explains(changes, change)), "")

    @property
    def backends(self) -> list[str]:
        """Every backend of any release."""
        return sorted({name for entry in self.entries for name in entry.backends})


@dataclass(frozen=True)
class Atlas:
    """Every package, by name."""

    packages: tuple[Package, ...]

    @property
    def releases(self) -> int:
        """How many entries there are."""
        return sum(len(p.entries) for p in self.packages)

    @property
    def changes(self) -> list[tuple[Changes, AtlasChange]]:
        """Every change."""
        return [(c, one) for p in self.packages for _, c in sorted(p.changes.items()) for one in c.changes]


def stale(entry: Entry) -> str:
    """Why an entry no longer says what this version of bnspec would; empty where it does."""
    if entry.specification != VERSION:
        return f"judged by specification {entry.specification}, the present one is {VERSION}"
    if entry.bnspec != bnspec.__version__:
        return f"judged by bnspec {entry.bnspec}, this is {bnspec.__version__}"
    return ""


def read_atlas(folder: Path) -> Atlas:
    """The atlas of a folder. Raises UsageError: a file is none of it, or contradicts another."""
    if not folder.is_dir():
        raise UsageError(f"{folder} does not exist.", "the atlas is a folder of entries.", "check the path.")
    packages = [_package(place) for place in sorted(p for p in folder.iterdir() if p.is_dir())]
    return Atlas(tuple(packages))


def _package(folder: Path) -> Package:
    entries: list[Entry] = []
    changes: dict[str, Changes] = {}
    for path in sorted(folder.glob("*.json")):
        text = path.read_text("utf-8")
        if path.name.endswith(CHANGES):
            found = decode_changes(text, path)
            _named(path, found.package, found.after + CHANGES)
            changes[found.after] = found
        else:
            entry = decode_entry(text, path)
            _named(path, entry.package, entry.release + ".json")
            entries.append(entry)
    entries.sort(key=lambda e: e.version)
    repros = read_repros(folder, [e.release for e in entries])
    package = Package(folder.name, tuple(entries), changes, read_bisections(folder / BISECTIONS), repros)
    _hold(folder, package)
    return package


def _named(path: Path, package: str, name: str) -> None:
    if (path.parent.name, path.name) != (package, name):
        raise UsageError(f"{path} is in the wrong place.", f"it speaks of {package}/{name}.", "move it there.")


def _hold(folder: Path, package: Package) -> None:
    """The invariants between files. Raises UsageError."""
    adjacent = {(a.release, b.release): (a, b) for a, b in package.pairs}
    kept = {path.stem for path in (folder / CASES).glob("*.json")}
    named = set()
    for changes in package.changes.values():
        pair = adjacent.get((changes.before, changes.after))
        place = folder / (changes.after + CHANGES)
        if pair is None:
            raise UsageError(
                f"{place} is out of date.", f"{changes.before} and {changes.after} do not follow each other.", _AGAIN
            )
        for change in changes.changes:
            named |= {change.case} - {None}
            if problem := _contradiction(change, *pair):
                raise UsageError(
                    f"{place} contradicts the entries: {change.what} on {change.backend}.", problem, _AGAIN
                )
    if missing := named - kept:
        raise UsageError(
            f"{folder / CASES} lacks {', '.join(sorted(map(str, missing)))}.", "changes name them.", _AGAIN
        )
    if useless := kept - named:
        raise UsageError(f"{folder / CASES} holds {', '.join(sorted(useless))}.", "no change names it.", "remove it.")


def _contradiction(change: AtlasChange, before: Entry, after: Entry) -> str:
    """Why a change cannot be, by the entries of its two releases; empty where it can."""
    a, b = before.backends.get(change.backend), after.backends.get(change.backend)
    if a is None or b is None:
        return "one of the releases has no such backend."
    if change.kind == "verdict":
        failing = sum(b.failing(change.what).values()), sum(a.failing(change.what).values())
        if not failing[change.direction == "repair"]:
            return "no case deviates where the change says that one does."
    if change.kind == "convention":
        texts = [e.conventions.get(change.what) or e.declared.get(change.what) for e in (a, b)]
        if texts[0] == texts[1]:
            return "both entries have the same convention."
    if change.kind == "target" and a.status == b.status:
        return "both entries have the same status."
    return ""
