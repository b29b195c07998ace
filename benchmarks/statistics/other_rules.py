"""What other tools would say of the same samples. None of them controls false discoveries over cells.

The tests call a difference that they do not find AMBIGUOUS: it was not shown that there is none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import mannwhitneyu, ttest_ind_from_stats

from bnspec.benchmarks.statistics.paired import LEVEL
from bnspec.benchmarks.statistics.self_comparison import Group, Processes, medians_ns
from bnspec.reports.run.vocabulary import ComparisonVerdict

#: nvbench's own thresholds, preset "default" of its robust comparison: smallest gap and largest distance of the centres,
#: as shares of the smaller time; least overlap, as a share of the narrower interval; largest interquartile range over median.
NVBENCH_GAP, NVBENCH_CENTRES, NVBENCH_OVERLAP, NVBENCH_NOISE = 0.005, 0.005, 0.5, 0.02


def welch_of_medians(group: Group) -> ComparisonVerdict:
    """Welch's test of the process medians, not paired."""
    return _welch(np.asarray(medians_ns(group.baseline)), np.asarray(medians_ns(group.candidate)))


def pooled_welch(group: Group) -> ComparisonVerdict:
    """Welch's test of all samples as if each were of a process of its own.

    Source: pyperf's compare_to, which tests all values of all runs so, with one variance for both.
    """
    return _welch(_pooled(group.baseline), _pooled(group.candidate))


def pooled_mann_whitney(group: Group) -> ComparisonVerdict:
    """The rank test of all samples, at LEVEL.

    Source: Mann and Whitney 1947; asv's compare, at a level of its own.
    """
    baseline, candidate = _pooled(group.baseline), _pooled(group.candidate)
    if np.ptp(np.concatenate([baseline, candidate])) == 0.0:  # all ranks are one rank
        return "AMBIGUOUS"
    test = mannwhitneyu(candidate, baseline, method="asymptotic")
    if test.pvalue > LEVEL:
        return "AMBIGUOUS"
    return _side(test.statistic - baseline.size * candidate.size / 2.0)


def nvbench_noise(group: Group) -> ComparisonVerdict:
    """SAME when the means differ, over the baseline's, by at most the smaller one of the relative standard deviations.

    Source: NVIDIA nvbench, nvbench_compare_legacy.py.
    """
    baseline, candidate = _pooled(group.baseline), _pooled(group.candidate)
    if min(baseline.size, candidate.size) < 2:
        return "AMBIGUOUS"
    difference = candidate.mean() / baseline.mean() - 1.0
    noise = min(a.std(ddof=1) / a.mean() for a in (baseline, candidate))
    return "SAME" if abs(difference) <= noise else _side(difference)


def nvbench_intervals(group: Group) -> ComparisonVerdict:
    """The interval of a contender reaches from its fastest sample to its third quartile, around the median.

    FASTER, SLOWER when the intervals are apart by NVBENCH_GAP. SAME when the medians are within NVBENCH_CENTRES, the
    intervals overlap by NVBENCH_OVERLAP, and both are steadier than NVBENCH_NOISE. Otherwise AMBIGUOUS. What nvbench asks of
    a GPU's clock rate besides, and its look at the supports of the samples, is left out.

    Source: NVIDIA nvbench, nvbench_compare_robust.py.
    """
    (low0, q0, median0, high0), (low1, q1, median1, high1) = (
        np.percentile(_pooled(arm), (0, 25, 50, 75)) for arm in (group.baseline, group.candidate)
    )
    if low0 >= high1 * (1.0 + NVBENCH_GAP):
        return "FASTER"
    if low1 >= high0 * (1.0 + NVBENCH_GAP):
        return "SLOWER"
    close = max(median0, median1) <= min(median0, median1) * (1.0 + NVBENCH_CENTRES)
    overlap = min(high0, high1) - max(low0, low1)
    strong = overlap >= NVBENCH_OVERLAP * min(high0 - low0, high1 - low1)
    steady = max((high0 - q0) / median0, (high1 - q1) / median1) <= NVBENCH_NOISE
    return "SAME" if close and strong and steady else "AMBIGUOUS"


#: All of them by the name that tables print.
RIVALS: dict[str, Callable[[Group], ComparisonVerdict]] = {
    "Welch, process medians": welch_of_medians,
    "Welch, pooled samples": pooled_welch,
    "Mann-Whitney, pooled samples": pooled_mann_whitney,
    "nvbench, noise": nvbench_noise,
    "nvbench, intervals": nvbench_intervals,
}


def _pooled(processes: Processes) -> np.ndarray:
    return np.concatenate([np.asarray(samples, dtype=float) for samples in processes])


def _welch(baseline: np.ndarray, candidate: np.ndarray) -> ComparisonVerdict:
    """scipy's test at LEVEL, from means and standard deviations: samples that are all alike, as a coarse clock gives, are no error.

    Source: Welch 1947.
    """
    if min(baseline.size, candidate.size) < 2:
        return "AMBIGUOUS"
    difference = candidate.mean() - baseline.mean()
    if difference == 0.0:  # no spread either would be 0 / 0
        return "AMBIGUOUS"
    moments = [(a.mean(), a.std(ddof=1), a.size) for a in (candidate, baseline)]
    test = ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False)
    return _side(difference) if test.pvalue <= LEVEL else "AMBIGUOUS"


def _side(difference: float) -> ComparisonVerdict:
    return "FASTER" if difference < 0.0 else "SLOWER"
