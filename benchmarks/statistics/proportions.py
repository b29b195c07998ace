"""Binomial proportions with exact one-sided confidence bounds."""

from __future__ import annotations

import dataclasses
from typing import Literal

from scipy.stats import binomtest

#: The confidence of each one-sided bound.
CONFIDENCE = 0.95


@dataclasses.dataclass(frozen=True)
class Proportion:
    """``count`` successes of ``of``, and bounds of the probability p behind them.

    ``estimate`` is count / of. Each bound holds with the confidence CONFIDENCE by itself: p is at least ``at_least``, p is at
    most ``at_most``.

        P(X >= count | at_least) = P(X <= count | at_most) = 1 - CONFIDENCE,  X binomial

    Outcomes are assumed independent. Of none, the estimate is None and the bounds are 0 and 1.

    Source: Clopper and Pearson 1934.
    """

    count: int
    of: int

    @property
    def estimate(self) -> float | None:
        return self.count / self.of if self.of else None

    @property
    def at_least(self) -> float:
        return self._interval("greater")[0]

    @property
    def at_most(self) -> float:
        return self._interval("less")[1]

    def _interval(self, alternative: Literal["greater", "less"]) -> tuple[float, float]:
        """The exact one-sided interval; scipy has none for 0 of 0."""
        if not self.of:
            return 0.0, 1.0
        low, high = binomtest(self.count, self.of, alternative=alternative).proportion_ci(CONFIDENCE, method="exact")
        return float(low), float(high)


def proportion_of(outcomes: list[bool]) -> Proportion:
    """The proportion of outcomes that are true."""
    return Proportion(sum(outcomes), len(outcomes))
