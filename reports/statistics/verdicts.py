"""Verdicts for all cells of a run, with the false discovery rate controlled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

from scipy.stats import false_discovery_control

from bnspec.reports.run.vocabulary import ComparisonVerdict
from bnspec.reports.statistics.paired import Paired, t_quantile

Key = TypeVar("Key", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Decision:
    """The verdict on the candidate in one cell.

    Attributes:
        pairs, ratio, low, high: of its ``Paired``.
        q: adjusted p-value, the smallest false discovery rate at which the cell is a discovery.
        more_processes: further pairs that are expected to decide; 0 when decided, None when no number is known.
    """

    verdict: ComparisonVerdict
    pairs: int
    ratio: float
    low: float
    high: float
    q: float
    more_processes: int | None


def decide(pairs: Mapping[Key, Paired], rate: float = 0.05, margin: float = 0.05) -> dict[Key, Decision]:
    """The verdict of every cell.

        FASTER, SLOWER   q <= rate, by the side of the ratio
        SAME             otherwise, when 1 / (1 + margin) <= low and high <= 1 + margin
        AMBIGUOUS        otherwise

    Of the cells called FASTER or SLOWER, at most the proportion ``rate`` is expected to be wrong. A cell whose true ratio is
    outside the margin is called SAME with a probability of at most 2.5 %, each cell by itself. Cells with fewer than
    two pairs count, with p = 1.

    Repeated looks: verdicts may be computed at any time, but a run that stops *because of* its verdicts has more false ones
    than stated here. ``stopping`` uses the pilot rounds' spread instead, and ``paired(adaptive=True)`` corrects for that.
    ``more_processes`` is advice for a new run, not for continuing this one.

    Args:
        pairs: all cells of the family.
        rate: false discovery rate; margin: largest slowdown that counts as the same, 0.05 for 5 %.
    Returns: a decision for each key; q is from ``scipy.stats.false_discovery_control``.
    Source: Benjamini and Hochberg 1995; equivalence by an interval: Schuirmann 1987. Comparisons that share a baseline are
        dependent; the rate holds under positive dependence: Benjamini and Yekutieli 2001.
    """
    rates = dict(zip(pairs, false_discovery_control([pair.p for pair in pairs.values()]).tolist()))
    found = sum(q <= rate for q in rates.values())
    level = rate * (found + 1) / max(len(pairs), 1)
    decisions = {}
    for key, pair in pairs.items():
        verdict = _verdict(pair, rates[key], rate, margin)
        more = needed(pair, level, margin) if verdict == "AMBIGUOUS" else 0
        decisions[key] = Decision(verdict, pair.pairs, pair.ratio, pair.low, pair.high, rates[key], more)
    return decisions


def _verdict(pair: Paired, q: float, rate: float, margin: float) -> ComparisonVerdict:
    if q <= rate:
        return "FASTER" if pair.mean_log < 0.0 else "SLOWER"
    return "SAME" if 1.0 / (1.0 + margin) <= pair.low and pair.high <= 1.0 + margin else "AMBIGUOUS"


def needed(pair: Paired, level: float, margin: float) -> int | None:
    """How many further pairs are expected to decide: the smallest n, less the pairs so far, at which

        |mean_log| > t(n - 1; 1 - level / 2) se(n)                          FASTER or SLOWER
        or  |mean_log| + t(n - 1; 1 - LEVEL / 2) se(n) <= log(1 + margin)   SAME

    with se(n) = max(sd_log / sqrt(n), resolution_log), if mean and spread stay as they are. They vary, so a run
    of that many pairs decides about every second time.

    Args:
        level: of the test. ``decide`` gives rate (found + 1) / m: a p-value of at most that makes one more discovery.
        margin: as in ``decide``.
    Returns: at least 1; None where no n is enough, or the spread is unknown.
    """
    if pair.pairs < 2:
        return None

    def decided(n: int) -> bool:
        error = max(pair.sd_log / math.sqrt(n), pair.resolution_log)
        differs = abs(pair.mean_log) > t_quantile(n - 1, level) * error
        return differs or abs(pair.mean_log) + t_quantile(n - 1) * error <= math.log1p(margin)

    size, finest = abs(pair.mean_log), pair.resolution_log
    if size <= t_quantile(math.inf, level) * finest and size + t_quantile(math.inf) * finest >= math.log1p(margin):
        return None  # the clock is too coarse for any n
    low, high = pair.pairs, pair.pairs + 1
    while not decided(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high - pair.pairs
