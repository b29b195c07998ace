"""The outcome of an experiment for one field of the conventions, compared with the adapter's declaration."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

Agreement = Literal["agrees", "differs", "undecided", "not observable"]
#: The value that makes no claim: any observation agrees with it.
OPEN = "unspecified"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The remaining alternatives of a field.

    Attributes:
        field: a field of Conventions, or a rule of the contract that is measured too.
        possible: the alternatives not excluded by observations; one: inferred; none: no known convention fits.
        evidence: the observation, in a few words.
        reason: why several alternatives remain, or why the field cannot be observed.
        observable: whether the field can be observed through the contract.
        interval: for a located number: every number in it explains the observations.
        is_inferred, value: whether exactly one alternative remains, and which.
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
        """Whether the observations admit the declaration; an excluded value differs, even if several alternatives remain."""
        if not self.observable:
            return "not observable"
        if declared != OPEN and not self.admits(declared):
            return "differs"
        return "agrees" if self.is_inferred or not self.possible else "undecided"

    def admits(self, declared: Any) -> bool:
        """Whether the observations admit this value; the order within a set of supported values does not matter."""
        if self.interval is not None:
            return self.interval[0] <= declared <= self.interval[1]
        return any(_plain(declared) == _plain(p) for p in self.possible)


def hidden(field: str, reason: str) -> Outcome:
    """A field that cannot be observed through an adapter."""
    return Outcome(field, (), "", reason, observable=False)


def _plain(value: Any) -> Any:
    return frozenset(value) if isinstance(value, tuple) else value
