"""What a clause is."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from bnspec.errors import UsageError

Level = Literal["MUST", "SHOULD", "MAY"]

IOFFE = "Ioffe and Szegedy 2015, Batch Normalization"
HIGHAM = "Higham 2002, Accuracy and Stability of Numerical Algorithms"
CHAN = "Chan, Golub and LeVeque 1983, Algorithms for Computing the Sample Variance"


@dataclasses.dataclass(frozen=True)
class Clause:
    """One thing that is demanded (MUST), expected of good implementations (SHOULD) or recorded (MAY).

    Attributes:
        id: ``family.name``, stable.
        statement: the demand, one sentence.
        formula: the same in symbols.
        rationale: why it is demanded, and what breaks without it.
        source: the paper or document it comes from.
        depends: the profile fields it is relative to.
        catches: public reports of defects that it would have caught, as ``owner/project#number``.
    """

    id: str
    level: Level
    statement: str
    formula: str
    rationale: str
    source: str
    depends: tuple[str, ...] = ()
    catches: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.level not in ("MUST", "SHOULD", "MAY") or self.id.count(".") != 1:
            raise UsageError(
                f"clause {self.id!r} of level {self.level!r} is malformed.", "ids are family.name.", "mend it."
            )

    @property
    def family(self) -> str:
        """The part of the id before the dot."""
        return self.id.split(".")[0]

    def to_json(self) -> dict[str, Any]:
        """The clause as JSON-ready data."""
        return {"family": self.family, **dataclasses.asdict(self)}
