"""Counts out of so many."""

from __future__ import annotations

import dataclasses
from typing import Literal

from scipy.stats import binomtest

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
        return self._interval("greater")[0]

    @property
    def at_most(self) -> float:
        return self._interval("less")[1]

    def _interval(self, alternative: Literal["greater", "less"]) -> tuple[float, float]:
        """The one-sided exact interval; scipy refuses 0 of 0, of which nothing is known."""
        if not self.of:
            return 0.0, 1.0
        low, high = binomtest(self.count, self.of, alternative=alternative).proportion_ci(CONFIDENCE, method="exact")
        return float(low), float(high)


def share_of(outcomes: list[bool]) -> Share:
    """How many of the outcomes are true."""
    return Share(sum(outcomes), len(outcomes))
