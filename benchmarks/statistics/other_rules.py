"""The verdicts that other tools would give on the same samples. None of them controls the false discovery rate over cells.

A test that finds no difference gives AMBIGUOUS: it does not show that there is none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import mannwhitneyu, ttest_ind_from_stats

from bnspec.benchmarks.statistics.self_comparison import Processes, SelfComparison, medians_ns
from bnspec.reports.run.vocabulary import ComparisonVerdict
from bnspec.reports.statistics.paired import LEVEL

#: nvbench's own thresholds, preset "default" of its robust comparison: smallest gap and largest distance of the centres,
#: as shares of the smaller time; least overlap, as a share of the narrower interval; largest interquartile range over median.
NVBENCH_GAP, NVBENCH_CENTRES, NVBENCH_OVERLAP, NVBENCH_NOISE = 0.005, 0.005, 0.5, 0.02


def welch_of_medians(comparison: SelfComparison) -> ComparisonVerdict:
    """Welch's test of the process medians, not paired."""
    return _welch(np.asarray(medians_ns(comparison.baseline)), np.asarray(medians_ns(comparison.candidate)))


def pooled_welch(comparison: SelfComparison) -> ComparisonVerdict:
    """Welch's test of all samples as if each came from a process of its own.

    Source: pyperf's compare_to, which pools the values of all runs this way, with one variance for both.
    """
    return _welch(_pooled(comparison.baseline), _pooled(comparison.candidate))


def pooled_mann_whitney(comparison: SelfComparison) -> ComparisonVerdict:
    """The rank test of all samples, at LEVEL.

    Source: Mann and Whitney 1947; asv's compare, at a level of its own.
    """
    baseline, candidate = _pooled(comparison.baseline), _pooled(comparison.candidate)
    if np.ptp(np.concatenate([baseline, candidate])) == 0.0:  # all ranks are one rank
        return "AMBIGUOUS"
    test = mannwhitneyu(candidate, baseline, method="asymptotic")
    if test.pvalue > LEVEL:
        return "AMBIGUOUS"
    return _side(test.statistic - baseline.size * candidate.size / 2.0)


def nvbench_noise(comparison: SelfComparison) -> ComparisonVerdict:
    """SAME when the means differ, over the baseline's, by at most the smaller one of the relative standard deviations.

    Source: NVIDIA nvbench, nvbench_compare_legacy.py.
    """
    baseline, candidate = _pooled(comparison.baseline), _pooled(comparison.candidate)
    if min(baseline.size, candidate.size) < 2:
        return "AMBIGUOUS"
    difference = candidate.mean() / baseline.mean() - 1.0
    noise = min(a.std(ddof=1) / a.mean() for a in (baseline, candidate))
    return "SAME" if abs(difference) <= noise else _side(difference)


def nvbench_intervals(comparison: SelfComparison) -> ComparisonVerdict:
    """A contender's interval reaches from its fastest sample to its third quartile, around the median.

    FASTER, SLOWER when the intervals are apart by NVBENCH_GAP. SAME when the medians are within NVBENCH_CENTRES, the
    intervals overlap by NVBENCH_OVERLAP, and both are steadier than NVBENCH_NOISE. Otherwise AMBIGUOUS. nvbench's conditions
    on a GPU's clock rate and on the supports of the samples are left out.

    Source: NVIDIA nvbench, nvbench_compare_robust.py.
    """
    (low0, q0, median0, high0), (low1, q1, median1, high1) = (
        np.percentile(_pooled(arm), (0, 25, 50, 75)) for arm in (comparison.baseline, comparison.candidate)
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


#: The rules by the name that tables print.
OTHER_RULES: dict[str, Callable[[SelfComparison], ComparisonVerdict]] = {
    "Welch, process medians": welch_of_medians,
    "Welch, pooled samples": pooled_welch,
    "Mann-Whitney, pooled samples": pooled_mann_whitney,
    "nvbench, noise": nvbench_noise,
    "nvbench, intervals": nvbench_intervals,
}


def _pooled(processes: Processes) -> np.ndarray:
    return np.concatenate([np.asarray(samples, dtype=float) for samples in processes])


def _welch(baseline: np.ndarray, candidate: np.ndarray) -> ComparisonVerdict:
    """scipy's test at LEVEL, from means and standard deviations: identical samples, which a coarse clock gives, raise no warning.

    Source: Welch 1947.
    """
    if min(baseline.size, candidate.size) < 2:
        return "AMBIGUOUS"
    difference = candidate.mean() - baseline.mean()
    if difference == 0.0:  # without a spread the statistic would be 0 / 0
        return "AMBIGUOUS"
    moments = [(a.mean(), a.std(ddof=1), a.size) for a in (candidate, baseline)]
    test = ttest_ind_from_stats(*moments[0], *moments[1], equal_var=False)
    return _side(difference) if test.pvalue <= LEVEL else "AMBIGUOUS"


def _side(difference: float) -> ComparisonVerdict:
    return "FASTER" if difference < 0.0 else "SLOWER"
