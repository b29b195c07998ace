"""The ``Clause`` record, its levels, and constructors by where a clause is verified."""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Literal, get_args

from bnspec.errors import UsageError

Level = Literal["MUST", "SHOULD", "MAY"]
Verified = Literal["backends", "specification", "both"]

IOFFE = "Ioffe and Szegedy 2015, Batch Normalization"
HIGHAM = "Higham 2002, Accuracy and Stability of Numerical Algorithms"
CHAN = "Chan, Golub and LeVeque 1983, Algorithms for Computing the Sample Variance"
LECUN = "LeCun, Bottou, Orr and Mueller 1998, Efficient BackProp, 4.3"
IEEE = "IEEE 754-2019"
CONTRACT = "bnspec/contract.py"

#: The version of the specification, major.minor. Minor: clauses were added. Major: a clause demands something else than before,
#: was retired, or changed its level. Wording, formulas in other symbols, reports and tighter tests change neither.
VERSION = "1.5"
#: The version that a clause is from unless it says another one.
FIRST = "1.0"


@dataclasses.dataclass(frozen=True)
class Clause:
    """One requirement (MUST), expectation of good implementations (SHOULD) or recorded choice (MAY).

    Attributes:
        id: ``family.name``, stable.
        statement: the requirement, one sentence.
        formula: the same in symbols.
        rationale: why it is required, and what breaks without it.
        source: the paper or document it comes from.
        depends: the fields of the backend's conventions that it depends on.
        catches: public reports of defects that it would have caught, as ``owner/project#number``.
        verified: where it is verified. "backends": a check judges every backend by it. "specification": no check covers
            backends yet; a test verifies it on the specification's own equations. "both": a check and a test.
        since: the version of the specification that first contains it.
    """

    id: str
    level: Level
    statement: str
    formula: str
    rationale: str
    source: str
    depends: tuple[str, ...] = ()
    catches: tuple[str, ...] = ()
    verified: Verified = "backends"
    since: str = FIRST

    def __post_init__(self) -> None:
        if self.level not in get_args(Level) or self.verified not in get_args(Verified) or self.id.count(".") != 1:
            raise UsageError(
                f"clause {self.id!r} of level {self.level!r}, verified by {self.verified!r}, is malformed.",
                f"ids are family.name, levels {get_args(Level)}, and it is verified by one of {get_args(Verified)}.",
                "fix it in bnspec/clauses.",
            )
        if not re.fullmatch(r"\d+\.\d+", self.since) or version_key(self.since) > version_key(VERSION):
            raise UsageError(
                f"clause {self.id!r} is from version {self.since!r} of the specification.",
                f"versions are major.minor, and the newest is {VERSION}.",
                "fix its since, or raise VERSION in bnspec/clauses/clause.py.",
            )

    @property
    def family(self) -> str:
        """The part of the id before the dot."""
        return self.id.split(".")[0]

    @property
    def asked(self) -> bool:
        """Whether a check judges backends by it."""
        return self.verified != "specification"

    @property
    def formula_lines(self) -> list[str]:
        """The parts of the formula, split at a comma followed by three spaces."""
        return [part.strip() for part in self.formula.split(",   ")]

    def to_json(self) -> dict[str, Any]:
        """The clause as JSON-ready data."""
        return {"family": self.family, **dataclasses.asdict(self)}


def version_key(version: str) -> tuple[int, ...]:
    """A version of the specification as numbers, to be ordered by."""
    return tuple(int(part) for part in version.split("."))


def specified(
    id: str,  # noqa: A002  # the field's name
    level: Level,
    statement: str,
    formula: str,
    rationale: str,
    source: str,
    depends: tuple[str, ...] = (),
    catches: tuple[str, ...] = (),
    since: str = FIRST,
) -> Clause:
    """A clause verified only on the specification's own equations."""
    return Clause(id, level, statement, formula, rationale, source, depends, catches, "specification", since)


def verified_on_both(
    id: str,  # noqa: A002  # the field's name
    level: Level,
    statement: str,
    formula: str,
    rationale: str,
    source: str,
    depends: tuple[str, ...] = (),
    catches: tuple[str, ...] = (),
    since: str = FIRST,
) -> Clause:
    """A clause verified by a check on backends and by a test on the specification's own equations."""
    return Clause(id, level, statement, formula, rationale, source, depends, catches, "both", since)
