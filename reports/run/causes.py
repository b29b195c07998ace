"""Records of causes: findings of one target that have one origin, as far as experiments can say."""

from __future__ import annotations

import msgspec

from bnspec.reports.run.evidence import KnownDeviation
from bnspec.reports.run.fields import BackendName, CasePath, Count, DeviceName, Dotted, Tagged, Word
from bnspec.reports.run.vocabulary import Level


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a deviation needs: it disappears where this feature of the case has its ordinary value.

    Attributes:
        feature: "layout of x", "dtype", "epsilon", ...
        value: that the case has; ordinary: the value at which the clause is kept.
    """

    feature: Word
    value: str
    ordinary: str


class Cause(Tagged, frozen=True, tag="cause"):
    """A cause: the most basic clause that is broken, and what it needs.

    Every finding that fails belongs to one, or to several where some of its cases need one thing, and others another.

    Attributes:
        clause: the clause that is broken in its own words; also: clauses that show the same error.
        level: the strongest of its clauses.
        conditions: of the clause's smallest case; empty: it happens on an ordinary one too, as far as was checked.
        known: the known deviations behind it; empty: it is not known.
        case: the smallest case; experiments: changed cases that were run for this target.
        cut: why not all experiments on its clause were made; "" where all were.
    """

    clause: Dotted
    family: Dotted
    level: Level
    backend: BackendName
    device: DeviceName
    also: tuple[Dotted, ...] = ()
    conditions: tuple[Condition, ...] = ()
    known: tuple[KnownDeviation, ...] = ()
    message: str = ""
    case: CasePath | None = None
    experiments: Count = 0
    cut: str = ""

    def __post_init__(self) -> None:
        if self.clause in self.also:
            raise ValueError(f"{self.clause} is named twice")

    @property
    def clauses(self) -> tuple[str, ...]:
        """All its clauses, the most basic first."""
        return self.clause, *self.also
