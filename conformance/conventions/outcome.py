"""What an experiment found about a field of the conventions, and whether the adapter's declaration survives it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

Agreement = Literal["agrees", "differs", "undecided", "not observable"]
#: The convention that binds to nothing: whatever is observed, a declaration of it holds.
OPEN = "unspecified"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What is left of a field's alternatives.

    Attributes:
        field: of Conventions, or a law of the contract that is measured beside them.
        possible: the alternatives that the observations do not exclude; one: inferred; none: no known convention.
        evidence: what was seen, in a few words.
        reason: why several alternatives are left, or why the field cannot be observed.
        observable: whether the contract lets one observe the field at all.
        interval: for a number that is located: every number in it explains the observations.
        is_inferred, value: whether exactly one alternative is left, and which.
    """

    field: str
    possible: tuple[Any, ...]
    evidence: str
    reason: str = ""
    observable: bool = True
    interval: tuple[float, float] | None = None

    @property
    def is_inferred(self) -> bool:
        return self.observable and len(self.possible) == 1

    @property
    def value(self) -> Any:
        return self.possible[0] if self.is_inferred else None

    def agreement(self, declared: Any) -> Agreement:
        """Whether the declaration survives: a value that is excluded differs, also where several are left."""
        if not self.observable:
            return "not observable"
        if declared != OPEN and not self.admits(declared):
            return "differs"
        return "agrees" if self.is_inferred or not self.possible else "undecided"

    def admits(self, declared: Any) -> bool:
        """Whether the observations leave this value possible; the order in a set of offers is no convention."""
        if self.interval is not None:
            return self.interval[0] <= declared <= self.interval[1]
        return any(_plain(declared) == _plain(p) for p in self.possible)


def hidden(field: str, reason: str) -> Outcome:
    """A field that cannot be observed through an adapter."""
    return Outcome(field, (), "", reason, observable=False)


def _plain(value: Any) -> Any:
    return frozenset(value) if isinstance(value, tuple) else value
