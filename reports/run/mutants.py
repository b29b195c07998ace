"""Records of the kill matrix: each mutant and variant, each clause's kills, and the matrix as a whole."""

from __future__ import annotations

import msgspec

from bnspec.reports.run.fields import Amount, CasePath, Count, Ordinal, Ratio, Tagged, Word
from bnspec.reports.run.vocabulary import Level


class Accusation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A clause that deviates on a saved case: worst error / bound, and one line for a person."""

    clause: Word
    ratio: Ratio
    message: str
    case: CasePath | None = None


class _Judged(Tagged, frozen=True):
    """What mutants and variants share.

    Attributes:
        name: what is done to the layer; statement: the same in a sentence.
        killed: whether a clause of level MUST or SHOULD deviates, or one of level MAY that a mutant is named for.
        killed_by, noted_by: clauses that deviate, of level MUST or SHOULD, and of level MAY.
        family: of the clauses that the mutant belongs to; killed_by_family: whether one that it is named for deviates.
        expected: the clauses that it is named for; path: the only path on which it is wrong; empty: on all.
        escapes: why the suite does not see the mutant, where that is known.
        as_it_should_be: on every seed a mutant is killed by a clause that it is named for, and a variant by none.
        cases_to_first_kill: how many cases had been run on the first seed that killed it; 0 where none did.
        seeds_as_it_should_be, seeds: on how many seeds it fared as it should, of how many.
        stopped_after: how many cases were run on a mutant that was let go once it was killed.
        first_kill: the first case that kills it, and the clause; worst: of an accused variant, the worst accusation.
    """

    name: Word
    killed: bool
    killed_by: tuple[Word, ...]
    family: str
    killed_by_family: bool
    expected: tuple[Word, ...]
    noted_by: tuple[Word, ...]
    path: str
    escapes: str | None
    statement: str
    as_it_should_be: bool
    cases_to_first_kill: Count
    seeds_as_it_should_be: Count
    seeds: Ordinal
    stopped_after: Count | None
    first_kill: Accusation | None = None
    worst: Accusation | None = None

    def __post_init__(self) -> None:
        if bool(self.killed_by) != (self.cases_to_first_kill > 0):
            raise ValueError("what is killed has a first kill, and nothing else has one")
        if self.seeds_as_it_should_be > self.seeds:
            raise ValueError(f"{self.seeds_as_it_should_be} of {self.seeds} seeds cannot be as they should be")


class Mutant(_Judged, frozen=True, tag="mutant"):
    """A layer with a defect: some clause must kill it. See the attributes of its base."""


class Variant(_Judged, frozen=True, tag="variant"):
    """An unusual but correct layer: no clause may accuse it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.expected or self.escapes:
            raise ValueError("a variant is correct: no clause is expected to kill it, and it escapes nothing")


class ClauseKills(Tagged, frozen=True, tag="clause_kills"):
    """What a clause kills: how many mutants, and those that no other clause kills. One of level MAY notes instead.

    A clause that kills nothing in a whole matrix is mistrusted: nothing shows that it could have failed.
    """

    clause: Word
    level: Level
    kills: Count
    unique_kills: tuple[Word, ...]
    mistrusted: bool

    def __post_init__(self) -> None:
        if len(self.unique_kills) > self.kills or (self.mistrusted and self.kills):
            raise ValueError("unique kills are kills, and what kills is not mistrusted")


class KillMatrix(Tagged, frozen=True, tag="kill_matrix"):
    """The matrix as a whole: whether every mutant was run on every case, over which seeds, and what it cost.

    Attributes:
        cases: distinct ones over all seeds.
        seconds: "wall", and of the processes' time "layers", "oracle" and "judge".
    """

    whole: bool
    seeds: tuple[Count, ...]
    cases: Count
    seconds: dict[str, Amount]
