"""The minimum detectable effect: by formula for one cell, by injected slowdowns for a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.special import nctdtrinc
from scipy.stats import false_discovery_control

from bnspec.benchmarks.statistics.proportions import Proportion
from bnspec.reports.statistics.paired import LEVEL, Paired, exp, t_quantile
from bnspec.reports.statistics.verdicts import Key

#: The probability with which a detectable effect is found.
POWER = 0.8
#: Bisections of the bracket of the injected slowdown: its width is then below the ratio's float32 resolution.
HALVINGS = 24


def detectable_ratio(
    pairs: int, sd_log: float, *, level: float = LEVEL, power: float = POWER, resolution_log: float = 0.0
) -> float | None:
    """The true ratio that one comparison finds, on the right side, with the probability ``power``.

        exp(nc * max(sd_log / sqrt(n), resolution_log)),  P(T' > t(n - 1; 1 - level / 2)) = power,
        T' of the noncentral t distribution with n - 1 degrees of freedom and noncentrality nc

    For one cell by itself: among many cells, false discovery control needs a larger effect where few of them differ.

    Args:
        pairs: n; sd_log: standard deviation of the log ratio from round to round.
        resolution_log: of ``Paired``.
    Returns: larger than 1; a faster candidate is found equally well at its reciprocal. None with fewer than two pairs.
    Source: Johnson and Welch 1940.
    """
    if pairs < 2:
        return None
    noncentrality = float(nctdtrinc(pairs - 1, 1.0 - power, t_quantile(pairs - 1, level)))
    return exp(noncentrality * max(sd_log / math.sqrt(pairs), resolution_log))


def detectable(pair: Paired) -> float | None:
    """``detectable_ratio`` of as many pairs with the same spread as this comparison."""
    return detectable_ratio(pair.pairs, pair.sd_log, resolution_log=pair.resolution_log)


def found(families: Sequence[Mapping[Key, Paired]], log_slowdown: float, rate: float) -> Proportion:
    """How many cells are SLOWER when every candidate takes exp(log_slowdown) times as long; rate controlled per family."""
    count = 0
    for family in families:
        slowed = [pair.slowed(log_slowdown) for pair in family.values()]
        rates = false_discovery_control([pair.p for pair in slowed])
        count += sum(q <= rate and pair.mean_log > 0.0 for q, pair in zip(rates, slowed))
    return Proportion(count, sum(map(len, families)))


def detectable_by_injection(
    families: Sequence[Mapping[Key, Paired]], *, rate: float = 0.05, power: float = POWER, sure: bool = True
) -> float | None:
    """The smallest injected slowdown that is found in at least the proportion ``power`` of all cells.

    The families are A/A comparisons. The slowdown is injected into every candidate, and bisected between 0 and the first
    doubling that is found. The proportion found grows with the slowdown except for cells that pass from FASTER to SLOWER;
    where these matter, the result is one of several crossings.

    Args:
        families: the cells of each replicate run.
        sure: require the proportion's lower confidence bound to reach ``power``, so that the ratio holds for other data of
            this machine; otherwise the estimate, which other data miss every second time.
    Returns: the ratio; None where none is found often enough: too few cells to be sure, or too few pairs.
    """

    def reached(log_slowdown: float) -> bool:
        proportion = found(families, log_slowdown, rate)
        return (proportion.at_least if sure else proportion.estimate or 0.0) >= power

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
