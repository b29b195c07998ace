"""The smallest slowdown that is found four times in five: by formula for one cell, by planting for a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.special import nctdtrinc
from scipy.stats import false_discovery_control

from bnspec.benchmarks.statistics.paired import LEVEL, Paired, exp, t_quantile
from bnspec.benchmarks.statistics.proportions import Share
from bnspec.benchmarks.statistics.verdicts import Key

#: How often a detectable effect is found.
POWER = 0.8
#: Bisections of the bracket in which the planted slowdown lies: its width then is lost in the ratio's float32.
HALVINGS = 24


def detectable_ratio(
    pairs: int, sd_log: float, *, level: float = LEVEL, power: float = POWER, resolution_log: float = 0.0
) -> float | None:
    """The true ratio that one comparison finds on its right side with the probability ``power``.

        exp(nc * max(sd_log / sqrt(n), resolution_log)),  P(T' > t(n - 1; 1 - level / 2)) = power,
        T' of the noncentral t distribution with n - 1 degrees of freedom and noncentrality nc

    One cell by itself: among many, the control of false discoveries asks for more where few of them differ.

    Args:
        pairs: n; sd_log: standard deviation of the log ratio from round to round.
        resolution_log: of ``Paired``.
    Returns: larger than 1; a candidate that is faster is found as well, at one over it. None with fewer than two pairs.
    Source: Johnson and Welch 1940.
    """
    if pairs < 2:
        return None
    noncentrality = float(nctdtrinc(pairs - 1, 1.0 - power, t_quantile(pairs - 1, level)))
    return exp(noncentrality * max(sd_log / math.sqrt(pairs), resolution_log))


def detectable(pair: Paired) -> float | None:
    """``detectable_ratio`` of as many pairs with the same spread as this comparison."""
    return detectable_ratio(pair.pairs, pair.sd_log, resolution_log=pair.resolution_log)


def found(families: Sequence[Mapping[Key, Paired]], log_slowdown: float, rate: float) -> Share:
    """How many cells are called SLOWER once every candidate is exp(log_slowdown) times as slow; q within each family."""
    count = 0
    for family in families:
        slowed = [pair.slowed(log_slowdown) for pair in family.values()]
        rates = false_discovery_control([pair.p for pair in slowed])
        count += sum(q <= rate and pair.mean_log > 0.0 for q, pair in zip(rates, slowed))
    return Share(count, sum(map(len, families)))


def planted_ratio(
    families: Sequence[Mapping[Key, Paired]], *, rate: float = 0.05, power: float = POWER, sure: bool = True
) -> float | None:
    """The smallest slowdown that is found in at least the share ``power`` of all cells.

    The families are of one code compared with itself; the slowdown is planted in every candidate and sought by bisection
    between 0 and the first doubling that is found. What is found grows with it, but for cells on the way from FASTER
    to SLOWER; where these matter, one of several crossings is given.

    Args:
        families: the cells of each replicate run.
        sure: ask the share's lower confidence bound to reach ``power``, so that the ratio holds for other data of
            this machine; otherwise the share itself, which others will miss every second time.
    Returns: the ratio; None where none is found often enough: too few cells to be sure, or too few pairs.
    """

    def reached(log_slowdown: float) -> bool:
        share = found(families, log_slowdown, rate)
        return (share.at_least if sure else share.share or 0.0) >= power

    spreads = [pair.standard_error for family in families for pair in family.values() if pair.pairs > 1]
    high = min(spreads, default=math.inf)
    while not reached(high):
        if not math.isfinite(exp(high)):
            return None
        high *= 2.0
    low = 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if reached(middle) else (middle, high)
    return exp(high)
