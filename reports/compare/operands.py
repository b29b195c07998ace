"""The operands of a comparison, runs or targets of a run, and the pairs of their targets."""

from __future__ import annotations

import difflib
import fnmatch
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bnspec.errors import UsageError
from bnspec.model.names import base_of
from bnspec.reports.run.reading import MANIFEST
from bnspec.reports.run.records import target_name
from bnspec.reports.run.store import Run, read_run


class Place(NamedTuple):
    """A target: backend and device."""

    backend: str
    device: str

    @property
    def name(self) -> str:
        """``backend@device``."""
        return f"{self.backend}@{self.device}"

    @property
    def base(self) -> Place:
        """The same without the environment."""
        return Place(base_of(self.backend), self.device)


@dataclass(frozen=True)
class Operand:
    """A run, or some targets of it. ``only``: globs over targets, backends and their base names; empty: all."""

    run: Run
    only: Sequence[str] = ()

    @cached_property
    def places(self) -> list[Place]:
        """The targets, in the order in which the run was asked for them; others as they appear.

        Raises UsageError: a glob matches none.
        """
        asked = self.run.manifest.options.get("targets")
        asked = [str(name) for name in asked] if isinstance(asked, list) else []
        appear = [Place(r.backend, r.device) for kind in _KINDS for r in getattr(self.run, kind)]
        found = sorted(dict.fromkeys(appear), key=lambda p: asked.index(p.name) if p.name in asked else len(asked))
        for glob in self.only:
            if not any(_matches(place, glob) for place in found):
                raise _no_target(self.run, glob, found)
        return [p for p in found if not self.only or any(_matches(p, glob) for glob in self.only)]


#: Which records name targets.
_KINDS = ("targets", "findings", "timings", "conventions", "stability_curves", "bits")


def _matches(place: Place, glob: str) -> bool:
    """Brackets are part of names here, so a name that is written out is meant literally."""
    names = (place.name, place.backend, place.base.name, place.base.backend)
    return glob in names or any(fnmatch.fnmatchcase(name, glob) for name in names)


def _no_target(run: Run, glob: str, found: Sequence[Place]) -> UsageError:
    names = [p.name for p in found]
    near = difflib.get_close_matches(glob, names, 1)
    return UsageError(
        f"{run.path} has no target {glob!r}.",
        f"its targets are {', '.join(names[:12]) or 'none'}{' and others' if len(names) > 12 else ''}.",
        f"did you mean {near[0]}?" if near else "name one of them, or a glob.",
    )


def read_operand(text: str) -> Operand:
    """An operand as it is written: RUN or RUN:TARGET. Raises UsageError: no run is there, or it has no such target."""
    path, target = text, ""
    if not (Path(text) / MANIFEST).exists():
        for at in (i for i, sign in enumerate(text) if sign == ":"):
            if (Path(text[:at]) / MANIFEST).exists():
                path, target = text[:at], text[at + 1 :]
                break
    operand = Operand(read_run(Path(path)), (target,) if target else ())
    _ = operand.places
    return operand


class Pair(NamedTuple):
    """Two targets that are compared, each in its run."""

    before: tuple[Run, Place]
    after: tuple[Run, Place]

    @property
    def title(self) -> str:
        """How the pair is called: what both are, and what they differ in."""
        a, b = self.before[1], self.after[1]
        if a != b:
            return f"{a.name} → {b.name}"
        versions = [_version(r, p) for r, p in self]
        return f"{b.name}" + (f" ({versions[0]} → {versions[1]})" if versions[0] != versions[1] else "")


def _version(run: Run, place: Place) -> str:
    """The framework's version on a target; empty where it did not open."""
    record = next((t for t in run.targets if target_name(t) == place.name), None)
    return "" if record is None else record.versions.get(record.framework, "")


def pair_up(before: Operand, after: Operand) -> tuple[list[Pair], list[str], list[str]]:
    """The pairs of two operands, and the targets of each that the other lacks.

    Targets of the same name belong together; else those of the same base name and device, where each operand has one of them.
    One target of each is a pair in any case.
    """
    a, b = before.places, after.places
    if len(a) == len(b) == 1:
        return [Pair((before.run, a[0]), (after.run, b[0]))], [], []
    pairs = [Pair((before.run, p), (after.run, p)) for p in b if p in a]
    left, right = [p for p in a if p not in b], [p for p in b if p not in a]
    for place in list(right):
        same = [p for p in left if p.base == place.base]
        if len(same) == 1 and sum(p.base == place.base for p in right) == 1:
            pairs.append(Pair((before.run, same[0]), (after.run, place)))
            left.remove(same[0])
            right.remove(place)
    return pairs, [p.name for p in left], [p.name for p in right]


def successive(operand: Operand) -> list[Pair]:
    """Of one run, each target with the next one of the same base name and device: releases in their order.

    Raises UsageError: no two targets differ in their environment alone.
    """
    groups: dict[Place, list[Place]] = {}
    for place in operand.places:
        groups.setdefault(place.base, []).append(place)
    pairs = [Pair((operand.run, a), (operand.run, b)) for group in groups.values() for a, b in _adjacent(group)]
    if not pairs:
        raise UsageError(
            f"{operand.run.path} alone has nothing to compare.",
            "no two of its targets are one backend in two environments.",
            "name a second run, or two targets: RUN:TARGET RUN:TARGET.",
        )
    return pairs


def _adjacent(group: Iterable[Place]) -> list[tuple[Place, Place]]:
    return list(itertools.pairwise(group))
