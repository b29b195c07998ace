"""One known deviation: of which backends and releases, in which clauses, on which inputs, of what class and why."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from packaging.specifiers import SpecifierSet

from bnspec.clauses import CLAUSES
from bnspec.errors import UsageError
from bnspec.model.case import Case
from bnspec.model.names import base_of

#: "bug" contradicts the framework's own documentation or the definition; "documented difference": the framework says so;
#: "accuracy": right semantics, computed less exactly than good implementations do.
DeviationClass = Literal["bug", "documented difference", "accuracy"]
CLASSES: tuple[DeviationClass, ...] = get_args(DeviationClass)
Predicate = Callable[[Case], bool]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a backend does about a clause of level MAY: recorded, no failure. ``note``: the choice, in a sentence."""

    backend: str
    clause: str
    note: str

    def __post_init__(self) -> None:
        if self.clause not in CLAUSES or CLAUSES[self.clause].level != "MAY":
            raise UsageError(
                f"a recorded choice names {self.clause!r}.",
                "no clause of level MAY has this id.",
                "correct the entry in backends/*/harness/known.py.",
            )


@dataclass(frozen=True, kw_only=True)
class Known:
    """A known deviation.

    Attributes:
        title: a few words; observed: what a script that needs the framework alone, or the suite, has shown, with numbers.
        backends, devices: shell globs over the names of backends, ", " between them, "!" before those that are left out; one over
            those of devices.
        clauses: their ids.
        where: the predicate over cases; conditions: the same in words.
        kind: its class; reason: one sentence.
        link: where it is documented or reported, or what comes nearest; "" where nothing was found.
        reported: whether the deviation itself is reported or documented publicly; search: what else a search has found.
        package, versions: the releases in which it is known, as a PEP 440 specifier.
    """

    title: str
    backends: str
    clauses: tuple[str, ...]
    where: Predicate
    conditions: str
    kind: DeviationClass
    reason: str
    observed: str
    reported: bool
    package: str
    versions: str
    link: str = ""
    search: str = ""
    devices: str = "cpu"

    def __post_init__(self) -> None:
        unknown = [c for c in self.clauses if c not in CLAUSES]
        if unknown or self.kind not in CLASSES:
            raise UsageError(
                f"a known deviation names {unknown or self.kind!r}.",
                "no such clause or class.",
                "correct the entry in backends/*/harness/known.py.",
            )

    def covers(self, backend: str, device: str, versions: Mapping[str, str], clause: str, case: Case) -> bool:
        """Whether this is the deviation of that clause on that case."""
        return self.concerns(backend, device, versions) and clause in self.clauses and self.where(case)

    def concerns(self, backend: str, device: str, versions: Mapping[str, str]) -> bool:
        """Whether it is known of this release of the backend on this device; there alone it can be stale."""
        release = versions.get(self.package, "")
        there = self.names(backend) and fnmatch.fnmatchcase(device, self.devices)
        return there and bool(release) and release in SpecifierSet(self.versions)

    def names(self, backend: str) -> bool:
        """Whether it is known of some release of the backend."""
        named, left_out = self.globs
        base = base_of(backend)
        return matches(base, named) and not matches(base, left_out)

    @property
    def globs(self) -> tuple[list[str], list[str]]:
        """Those of the backends, and those of the backends that are left out."""
        globs = self.backends.split(", ")
        return [g for g in globs if not g.startswith("!")], [g[1:] for g in globs if g.startswith("!")]


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether one of the globs is of the name."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in globs)
