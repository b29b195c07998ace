"""The judgement of a clause on a step, with the evidence of what is broken."""

from __future__ import annotations

from dataclasses import dataclass

from bnspec.reports.run.evidence import Evidence


@dataclass(frozen=True)
class Judgement:
    """One clause on one step.

    Attributes:
        ratio: worst error / bound; 0 or inf for laws that hold or do not.
        evidence: of what is broken, the worst element of it; None when the clause is kept.
        message: one line for a person; no program reads it.
    """

    ratio: float
    evidence: Evidence | None = None
    message: str = ""

    def __post_init__(self) -> None:
        if self.holds == (self.evidence is not None):
            raise ValueError(f"a judgement has evidence exactly when its clause is broken; its ratio is {self.ratio}")

    @property
    def holds(self) -> bool:
        """Whether the clause is kept."""
        return self.ratio <= 1.0

    @staticmethod
    def kept(ratio: float = 0.0, message: str = "") -> Judgement:
        """The judgement of a clause that is kept, at this ratio."""
        return Judgement(ratio, None, message)


#: A law that holds.
KEPT = Judgement.kept()
