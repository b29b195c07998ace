"""What a release changed, in one line for all backends that changed alike: what one looks for before taking it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnspec.reports.atlas.atlas import Package
from bnspec.reports.atlas.changes import AtlasChange, Changes
from bnspec.reports.compare.change import Direction, Kind

#: Kinds of changes that are not changes of behaviour: other bits within the bounds, other types of errors.
ASIDE: tuple[Kind, ...] = ("bits", "ending")
#: Of what changed alike, so many are named in a line.
NAMED = 5
#: What a change of a verdict is, in a word.
VERBS: Mapping[Direction, str] = {"regression": "breaks", "repair": "repairs", "change": "changes"}


@dataclass(frozen=True)
class Behaviour:
    """Changes from one release to the next in the atlas.

    Attributes:
        backends: those that changed alike; changes: of the first of them.
        cause: what a bisection found, empty where none was made.
    """

    before: str
    after: str
    backends: tuple[str, ...]
    changes: tuple[AtlasChange, ...]
    cause: str = ""

    @property
    def sentence(self) -> str:
        """What changed, in one line."""
        return "; ".join(
            f"{said}{_listed([c.what for c in self.changes if _word(c) == said])}" for said in self._words()
        )

    @property
    def worse(self) -> bool:
        """Whether anything conformed before and deviates now."""
        return any(c.direction == "regression" for c in self.changes)

    def _words(self) -> list[str]:
        return list(dict.fromkeys(_word(c) for c in sorted(self.changes, key=lambda c: list(VERBS).index(c.direction))))


def _listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    if len(names) <= NAMED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"


def _word(change: AtlasChange) -> str:
    if change.kind == "verdict":
        return f"{VERBS[change.direction]} "
    if change.kind == "target":
        return "no longer " if change.direction == "regression" else "now "
    return f"{'changes' if change.direction == 'change' else VERBS[change.direction]} the {change.kind} "


def behaviours(package: Package) -> list[Behaviour]:
    """The changes of behaviour of a package, the newest release first."""
    found: list[Behaviour] = []
    for entry in reversed(package.entries):
        changes = package.changes.get(entry.release)
        if changes is not None:
            found += [_behaviour(package, changes, backends) for backends in _alike(changes)]
    return found


def aside(package: Package) -> list[tuple[str, str]]:
    """The pairs of releases, the newest first, between which only bits or types of errors changed."""
    told = {(b.before, b.after) for b in behaviours(package)}
    pairs = [
        (c.before, c.after) for e in reversed(package.entries) if (c := package.changes.get(e.release)) and c.changes
    ]
    return [pair for pair in pairs if pair not in told]


def _alike(changes: Changes) -> list[tuple[str, ...]]:
    """The backends that changed, those that changed alike together."""
    by_backend: dict[str, list[AtlasChange]] = {}
    for change in changes.changes:
        if change.kind not in ASIDE:
            by_backend.setdefault(change.backend, []).append(change)
    alike: dict[tuple[tuple[Kind, str, Direction], ...], list[str]] = {}
    for backend, found in by_backend.items():
        alike.setdefault(tuple(sorted((c.kind, c.what, c.direction) for c in found)), []).append(backend)
    return [tuple(backends) for backends in alike.values()]


def _behaviour(package: Package, changes: Changes, backends: Sequence[str]) -> Behaviour:
    own = tuple(c for c in changes.changes if c.backend == backends[0] and c.kind not in ASIDE)
    causes = dict.fromkeys(cause for c in own if (cause := package.cause(changes, c)))
    return Behaviour(changes.before, changes.after, tuple(backends), own, "; ".join(causes))
