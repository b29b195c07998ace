"""Counts out of so many."""

from __future__ import annotations

import dataclasses

from scipy.special import betaincinv

#: Of a one-sided bound.
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Share:
    """``count`` of ``of``, and what it says of the probability p behind it.

    share is count / of. With the confidence CONFIDENCE each, p is at least ``at_least``, and at most ``at_most``:

        P(X >= count | at_least) = P(X <= count | at_most) = 1 - CONFIDENCE,  X binomial

    The trials are taken as independent. Of nothing: share is None, the bounds are 0 and 1.

    Source: Clopper and Pearson 1934.
    """

    count: int
    of: int

    @property
    def share(self) -> float | None:
        return self.count / self.of if self.of else None

    @property
    def at_least(self) -> float:
        if self.count == 0:
            return 0.0
        return float(betaincinv(self.count, self.of - self.count + 1, 1.0 - CONFIDENCE))

    @property
    def at_most(self) -> float:
        if self.count == self.of:
            return 1.0
        return float(betaincinv(self.count + 1, self.of - self.count, CONFIDENCE))


def share_of(outcomes: list[bool]) -> Share:
    """How many of the outcomes are true."""
    return Share(sum(outcomes), len(outcomes))
