"""One known deviation: of which backend and release, in which clauses, on which inputs, of what class and why."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet

from bnspec.clauses import CLAUSES
from bnspec.errors import UsageError
from bnspec.model.case import Case

CLASSES = ("bug", "documented difference", "accuracy")
Predicate = Callable[[Case], bool]


@dataclass(frozen=True)
class Known:
    """A known deviation.

    Attributes:
        backend, clauses: shell globs over backend names; clause ids.
        where: the predicate over cases; inputs: the same in words.
        kind: one of ``CLASSES``; reason: one sentence; link: where it is documented or reported.
        package, versions: the releases in which it is known, as a PEP 440 specifier.
    """

    backend: str
    clauses: tuple[str, ...]
    where: Predicate
    inputs: str
    kind: str
    reason: str
    link: str
    package: str
    versions: str

    def __post_init__(self) -> None:
        unknown = [c for c in self.clauses if c not in CLAUSES]
        if unknown or self.kind not in CLASSES:
            raise UsageError(
                f"a known deviation names {unknown or self.kind!r}.", "no such clause or class.", "fix known/."
            )

    def covers(self, backend: str, versions: Mapping[str, str], clause: str, case: Case) -> bool:
        """Whether this is the deviation of that clause on that case."""
        return self.concerns(backend, versions) and clause in self.clauses and self.where(case)

    def concerns(self, backend: str, versions: Mapping[str, str]) -> bool:
        """Whether it is known of this release of the backend."""
        release = versions.get(self.package, "")
        return fnmatch.fnmatchcase(backend, self.backend) and bool(release) and release in SpecifierSet(self.versions)

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"
