"""Verdicts for all cells of a run, with the share of false discoveries among them controlled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

from scipy.stats import false_discovery_control

from bnspec.benchmarks.statistics.paired import Paired, t_quantile
from bnspec.reports.run.vocabulary import ComparisonVerdict

Key = TypeVar("Key", bound=Hashable)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What is said of one cell, of the candidate.

    Attributes:
        pairs, ratio, low, high: of its ``Paired``.
        q: smallest rate of false discoveries at which the cell would be one of the discoveries.
        more_processes: further pairs that would be expected to decide; 0 when decided, None when none can be named.
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

    Among the cells called FASTER or SLOWER, at most the share ``rate`` is expected to be wrong. A cell whose ratio really is
    outside the margin is called SAME with a probability of at most 2.5 %, each cell by itself. Cells with fewer than
    two pairs are counted, with p = 1.

    Looking again and again: this may be asked at any time, but a run that ended *because of* its verdicts has more false
    ones than are promised. ``stopping`` ends it by the scouts' spread instead, and ``paired(adaptive=True)`` makes up for
    what little that gives away. ``more_processes`` is advice for a new run, not to go on with the same.

    Args:
        pairs: all cells that are looked at together.
        rate: of false discoveries; margin: largest slowdown that nobody minds, 0.05 for 5 %.
    Returns: a decision for each key; its q is the adjusted p-value of ``scipy.stats.false_discovery_control``.
    Source: Benjamini and Hochberg 1995; equivalence by an interval: Schuirmann 1987. Comparisons that share a baseline are
        dependent; the rate is proved for positive dependence: Benjamini and Yekutieli 2001.
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
    """How many pairs more would be expected to decide: the smallest n, less those there are, at which

        |mean_log| > t(n - 1; 1 - level / 2) se(n)                          FASTER or SLOWER
        or  |mean_log| + t(n - 1; 1 - LEVEL / 2) se(n) <= log(1 + margin)   SAME

    with se(n) = max(sd_log / sqrt(n), resolution_log), if mean and spread stay what they are. They will not quite:
    a run of that many pairs decides about every second time.

    Args:
        level: of the test. ``decide`` gives rate (found + 1) / m: with a p-value of at most that, one cell more is found.
        margin: as in ``decide``.
    Returns: at least 1; None where no n will do, or the spread is unknown.
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
