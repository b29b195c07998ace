"""A change between two targets, as plain data: what the table, the Markdown, the JSON document and the atlas say."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from bnspec.reports.run.fields import Ratio
from bnspec.reports.run.vocabulary import Level

#: What can change.
Kind = Literal["target", "verdict", "convention", "stability", "ending", "bits", "time"]
KINDS: tuple[Kind, ...] = get_args(Kind)
#: To the worse, to the better, or neither.
Direction = Literal["regression", "repair", "change"]
#: What a movement of a time is: of the layer; of the machine, because the control moved as well; or none that can be told.
Movement = Literal["real", "machine", "noise"]


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that changed.

    Attributes:
        what: the clause, convention, output or workload; level: of the clause.
        before, after: what holds on each side, in a few words.
        worse, better: how many cases conformed before and deviate now, and the other way round; of bits and endings,
            ``worse`` is the number of cases that differ.
        ratio_before, ratio_after: worst error / bound; of times, ``ratio_after`` is the time after over the time before.
        case: a saved case that shows it; in the run after it for a regression, before it for a repair.
        example: the id of a case of both runs that shows it, saved or not.
        message: what is said of it where it fails.
        movement: of a time; low, high, q: interval of its ratio, and the rate of false discoveries at which it counts.
    """

    kind: Kind
    what: str
    direction: Direction
    before: str
    after: str
    level: Level | None = None
    worse: int = 0
    better: int = 0
    ratio_before: Ratio = None
    ratio_after: Ratio = None
    case: str | None = None
    example: str | None = None
    message: str = ""
    movement: Movement | None = None
    low: float | None = None
    high: float | None = None
    q: float | None = None


class Excluded(msgspec.Struct, frozen=True):
    """What could not be compared: of which kind, how many, and why."""

    kind: Kind
    count: int
    reason: str


class Coverage(msgspec.Struct, frozen=True):
    """How much was compared: of a kind, in both, in the one before alone, in the one after alone."""

    kind: Kind
    unit: str
    both: int
    only_before: int = 0
    only_after: int = 0


class Compared(msgspec.Struct, frozen=True):
    """The changes of one kind, with what they rest on."""

    changes: tuple[Change, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    excluded: tuple[Excluded, ...] = ()
