"""One comparison: process medians of two contenders, paired by round."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from bnspec.errors import UsageError

#: 1 - LEVEL is the confidence of every interval.
LEVEL = 0.05
#: Every third round is a pilot round: the spread of these decides when to stop, see ``stopping``.
PILOT_EVERY = 3


@dataclasses.dataclass(frozen=True)
class Paired:
    """The ratio candidate / baseline from n pairs of processes. d_r = log(candidate_r / baseline_r) in round r.

        standard_error = max(sd_log / sqrt(n), resolution_log)
        interval       = mean_log -+ half_width,  half_width = t(n - 1; 1 - LEVEL / 2) standard_error
        p              = P(|T| >= |mean_log| / standard_error),  T of Student's distribution with n - 1 degrees of freedom

    ratio, low and high are exp of the mean and of the interval's ends: the ratio of the geometric means. With fewer than two
    pairs the spread is unknown: the interval is (0, inf), p is 1; with none, the ratio is NaN.

    With a fine clock and a fixed number of rounds this is ``scipy.stats.ttest_rel`` of the logarithms. scipy's test takes the
    spread from the samples alone: it has no room for resolution_log, nor for the spread of ``paired(adaptive=True)``.

    Attributes:
        pairs: n, processes of each contender.
        mean_log, sd_log: mean and standard deviation of d.
        pilot_sd_log: standard deviation of d over the pilot rounds alone; infinite with fewer than two.
        resolution_log: standard error due to the clock, which does not shrink with the pairs.

    Source: Student 1908; processes as the unit of replication: Kalibera and Jones 2013, "Rigorous benchmarking in reasonable time".
    """

    pairs: int
    mean_log: float
    sd_log: float
    pilot_sd_log: float
    resolution_log: float

    @property
    def standard_error(self) -> float:
        return math.inf if self.pairs < 2 else max(self.sd_log / math.sqrt(self.pairs), self.resolution_log)

    @property
    def half_width(self) -> float:
        return math.inf if self.pairs < 2 else t_quantile(self.pairs - 1) * self.standard_error

    @property
    def ratio(self) -> float:
        return exp(self.mean_log)

    @property
    def low(self) -> float:
        return 0.0 if self.pairs < 2 else exp(self.mean_log - self.half_width)

    @property
    def high(self) -> float:
        return math.inf if self.pairs < 2 else exp(self.mean_log + self.half_width)

    @property
    def p(self) -> float:
        if self.pairs < 2:
            return 1.0
        return float(2.0 * stdtr(self.pairs - 1, -abs(self.mean_log) / self.standard_error))

    def slowed(self, log_slowdown: float) -> Paired:
        """The same comparison, had every process of the candidate taken exp(log_slowdown) times as long."""
        return dataclasses.replace(self, mean_log=self.mean_log + log_slowdown)


def paired(
    baseline_ns: Sequence[float], candidate_ns: Sequence[float], *, adaptive: bool = False, resolution_ns: float = 1.0
) -> Paired:
    """The comparison of two contenders by the medians of their processes.

    A median read to the resolution r is off by up to r / 2, with a standard deviation of r / sqrt(12). A steady process is off
    by the same amount in every round, so the mean over rounds keeps that error:

        resolution_log = r / sqrt(12) * sqrt(1 / median(baseline)^2 + 1 / median(candidate)^2)

    Where the pilot rounds' spread decides the number of rounds, a run with quiet pilots ends early and seems more precise than
    it is. Then sd_log is the larger of the spread over all rounds and the spread over the other rounds, which did not
    decide when to stop.

    Args:
        baseline_ns, candidate_ns: medians of fresh processes; element r of both is of round r.
        adaptive: whether ``stopping`` decided how many rounds there are.
        resolution_ns: of the recorded samples; they are whole nanoseconds.
    Returns: n is the common length.
    Raises: UsageError: lengths differ; a time is not positive and finite; the resolution is not positive.
    Source: error of rounding: Bennett 1948. Why adaptive: ``stopping``.
    """
    baseline, candidate = (np.asarray(a, dtype=float) for a in (baseline_ns, candidate_ns))
    _refuse(baseline, candidate, resolution_ns)
    d = np.log(candidate) - np.log(baseline)
    if d.size == 0:
        return Paired(0, math.nan, math.inf, math.inf, math.inf)
    pilot = np.arange(d.size) % PILOT_EVERY == 0
    spread = max(_sd(d), _sd(d[~pilot])) if adaptive and (~pilot).sum() > 1 else _sd(d)
    steady = resolution_ns / math.sqrt(12.0) * math.hypot(1.0 / np.median(baseline), 1.0 / np.median(candidate))
    return Paired(d.size, float(d.mean()), spread, _sd(d[pilot]), steady)


def _refuse(baseline: np.ndarray, candidate: np.ndarray, resolution_ns: float) -> None:
    if baseline.shape != candidate.shape or baseline.ndim != 1:
        raise UsageError(
            f"medians of shapes {baseline.shape} and {candidate.shape} cannot be paired.",
            "round r of the one belongs to round r of the other.",
            "leave out both processes of a round in which one failed.",
        )
    times = np.concatenate([baseline, candidate, [resolution_ns]])
    if not (np.isfinite(times) & (times > 0.0)).all():
        raise UsageError(
            "a median or the resolution is not a positive number of nanoseconds.",
            "the comparison is of their logarithms.",
            "leave out rounds without a time.",
        )


def _sd(d: np.ndarray) -> float:
    return float(d.std(ddof=1)) if d.size > 1 else math.inf


def t_quantile(degrees: float, level: float = LEVEL) -> float:
    """t with P(|T| > t) = level, T of Student's distribution with so many degrees of freedom; infinite: the normal one."""
    return float(-ndtri(level / 2.0) if math.isinf(degrees) else -stdtrit(degrees, level / 2.0))


def exp(logarithm: float) -> float:
    """exp, infinite where it is larger than any float."""
    return math.inf if logarithm > math.log(sys.float_info.max) else math.exp(logarithm)
