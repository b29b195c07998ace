"""Strips: what a backend does in each release of its package, a cell for each family of clauses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bnspec.clauses import CLAUSES
from bnspec.reports.atlas.atlas import Atlas, Package, stale
from bnspec.reports.atlas.entry import BackendEntry, Entry


@dataclass(frozen=True)
class Cell:
    """What a family of clauses, or another row, is in one release.

    Attributes:
        text: ✓ all judged cases conform; ✗ followed by how many clauses deviate; – nothing was judged; ∅ the backend is not there;
            of conventions and bits a letter: equal letters, equal values.
        tone: "good", "bad" or "quiet"; says: the clauses that deviate; moved: whether a verdict of the family changed.
    """

    text: str
    tone: str = "quiet"
    says: str = ""
    moved: bool = False


ABSENT, UNJUDGED = Cell("∅"), Cell("–")


@dataclass(frozen=True)
class Strip:
    """The rows of a backend, each with a cell for each release, the oldest first."""

    backend: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def strips(package: Package) -> list[Strip]:
    """A strip for each backend; families of which nothing was ever judged are left out."""
    return [Strip(backend, tuple(_rows(package, backend))) for backend in package.backends]


def banners(atlas: Atlas) -> dict[str, list[str]]:
    """By why they no longer say what they would say today, the releases."""
    found: dict[str, list[str]] = {}
    for package in atlas.packages:
        for entry in package.entries:
            if why := stale(entry):
                found.setdefault(why, []).append(f"{entry.package} {entry.release}")
    return found


def _rows(package: Package, backend: str) -> Iterator[tuple[str, tuple[Cell, ...]]]:
    entries = [e.backends.get(backend) for e in package.entries]
    for family in dict.fromkeys(c.family for c in CLAUSES.values()):
        cells = tuple(
            _cell(package, backend, family, of, entry) for of, entry in zip(package.entries, entries, strict=True)
        )
        if any(cell not in (ABSENT, UNJUDGED) for cell in cells):
            yield family, cells
    yield "conventions", _letters([_conventions(e) for e in entries])
    yield "bits", _letters([_bits(e) for e in entries])


def _cell(package: Package, backend: str, family: str, of: Entry, entry: BackendEntry | None) -> Cell:
    if entry is None or entry.status != "ready":
        return ABSENT
    clauses = [c.id for c in CLAUSES.values() if c.family == family]
    judged = [c for c in clauses if c in entry.verdicts]
    failing = [c for c in judged if entry.failing(c)]
    changes = package.changes.get(of.release)
    moved = changes is not None and any(
        c.backend == backend and c.kind == "verdict" and c.what in clauses for c in changes.changes
    )
    if failing:
        return Cell(f"✗{len(failing)}", "bad", ", ".join(failing), moved)
    return Cell("✓", "good", moved=moved) if judged else Cell(UNJUDGED.text, moved=moved)


def _conventions(entry: BackendEntry | None) -> object:
    return None if entry is None or entry.status != "ready" else tuple(sorted(entry.conventions.items()))


def _bits(entry: BackendEntry | None) -> object:
    return None if entry is None or not entry.bits else tuple(sorted(entry.bits.items()))


def _letters(keys: Sequence[object]) -> tuple[Cell, ...]:
    """Equal values have equal letters: a, b, ... in the order in which they appear."""
    known: dict[object, Cell] = {}
    for key in keys:
        if key is not None:
            known.setdefault(key, Cell(_letter(len(known))))
    return tuple(ABSENT if key is None else known[key] for key in keys)


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"a{number}"
