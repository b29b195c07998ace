"""One comparison of two runs: process medians that have no rounds in common."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtr

from bnspec.reports.statistics.paired import exp, t_quantile


@dataclasses.dataclass(frozen=True)
class Unpaired:
    """The ratio after / before of two runs, from the logarithms a and b of their process medians.

        mean_log       = mean(b) - mean(a)
        standard_error = sqrt(var(a) / n_a + var(b) / n_b + resolution_log^2)
        degrees        = standard_error^4 / (var(a)^2 / (n_a^2 (n_a - 1)) + var(b)^2 / (n_b^2 (n_b - 1)))
        interval       = mean_log -+ t(degrees; 0.05 / 2) standard_error
        p              = P(|T| >= |mean_log| / standard_error)

    ratio, low and high are exp of the mean and of the interval's ends. With fewer than two processes of either side the spread is
    unknown: the interval is (0, inf), p is 1; with none of one, the ratio is NaN.

    Attributes:
        pairs: the smaller number of processes.
        mean_log, standard_error, degrees: as above.

    Source: Welch 1947.
    """

    pairs: int
    mean_log: float
    standard_error: float
    degrees: float

    @property
    def ratio(self) -> float:
        return exp(self.mean_log)

    @property
    def low(self) -> float:
        return 0.0 if self.pairs < 2 else exp(self.mean_log - t_quantile(self.degrees) * self.standard_error)

    @property
    def high(self) -> float:
        return math.inf if self.pairs < 2 else exp(self.mean_log + t_quantile(self.degrees) * self.standard_error)

    @property
    def p(self) -> float:
        if self.pairs < 2:
            return 1.0
        if self.standard_error == 0.0:
            return 1.0 if self.mean_log == 0.0 else 0.0
        return float(2.0 * stdtr(self.degrees, -abs(self.mean_log) / self.standard_error))


def unpaired(before: Sequence[float], after: Sequence[float], resolution_log: float = 0.0) -> Unpaired:
    """The comparison of logarithms of two runs.

    Args:
        before, after: logarithms of process medians, or of their ratios to a control of the same round.
        resolution_log: standard error due to the clock, which does not shrink with the processes.
    """
    a, b = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    if not a.size or not b.size:
        return Unpaired(0, math.nan, math.inf, 1.0)
    difference = float(b.mean() - a.mean())
    if min(a.size, b.size) < 2:
        return Unpaired(1, difference, math.inf, 1.0)
    parts = [float(s.var(ddof=1)) / s.size for s in (a, b)]
    clock = resolution_log**2
    spread = sum(p**2 / (s.size - 1) for p, s in zip(parts, (a, b), strict=True))
    # the clock's share is known, not estimated: it has no degrees of freedom, and adds none
    degrees = sum(parts) ** 2 / spread if spread > 0.0 else float(a.size + b.size - 2)
    return Unpaired(min(a.size, b.size), difference, math.sqrt(sum(parts) + clock), degrees)
