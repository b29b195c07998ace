"""The verdict of one comparison, and of the cells of one run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bnspec.benchmarks.statistics.detectable_effect import detectable, detectable_ratio
from bnspec.benchmarks.statistics.proportions import CONFIDENCE, Proportion
from bnspec.benchmarks.statistics.stopping import Precision
from bnspec.errors import UsageError
from bnspec.reports.statistics.paired import Paired, paired, t_quantile
from bnspec.reports.statistics.verdicts import decide, needed

#: Two ways to sum a few terms differ by a few roundings: far fewer than these, which are far below any digit shown.
ROUNDINGS = 1e3 * np.finfo(float).eps
BASELINE = [1000.0, 1040.0, 1010.0, 990.0, 1025.0]
CANDIDATE = [1100.0, 1120.0, 1090.0, 1105.0, 1150.0]


def cell(mean_log: float = 0.0, sd_log: float = 0.01, pairs: int = 10, resolution_log: float = 1e-6) -> Paired:
    """A comparison with these figures."""
    return Paired(pairs, mean_log, sd_log, sd_log, resolution_log)


def test_the_interval_and_p_are_those_of_the_paired_t_test_of_logarithms() -> None:
    """Student's test, as SciPy has it."""
    test = stats.ttest_rel(np.log(CANDIDATE), np.log(BASELINE))
    interval = test.confidence_interval(0.95)
    got = paired(BASELINE, CANDIDATE)
    assert got.p == pytest.approx(test.pvalue, rel=ROUNDINGS)
    assert (got.low, got.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)), rel=ROUNDINGS)
    assert got.ratio == pytest.approx(stats.gmean(CANDIDATE) / stats.gmean(BASELINE), rel=ROUNDINGS)


def test_swapping_the_contenders_inverts_the_ratio_and_its_interval() -> None:
    """log(b / c) = -log(c / b), so neither contender is favoured."""
    one, other = paired(BASELINE, CANDIDATE), paired(CANDIDATE, BASELINE)
    assert (1 / other.ratio, 1 / other.high, 1 / other.low) == pytest.approx(
        (one.ratio, one.low, one.high), rel=ROUNDINGS
    )
    assert other.p == pytest.approx(one.p, rel=ROUNDINGS)


@pytest.mark.parametrize("pairs", [0, 1])
def test_one_pair_or_none_decides_nothing(pairs: int) -> None:
    """Without a spread the interval is everything, p is 1, the verdict AMBIGUOUS and no number of processes is known."""
    got = paired(BASELINE[:pairs], CANDIDATE[:pairs])
    assert (got.low, got.high, got.p) == (0.0, math.inf, 1.0)
    assert detectable(got) is None
    decision = decide({"cell": got})["cell"]
    assert (decision.verdict, decision.more_processes) == ("AMBIGUOUS", None)


def test_identical_medians_are_as_exact_as_the_clock_and_no_more() -> None:
    """Rounding to r leaves r / sqrt(12) of each median, and a hundred rounds do not take that away."""
    few, many = (paired([100.0] * n, [100.0] * n) for n in (5, 100))
    error = math.sqrt(2 / 12) / 100.0
    assert few.standard_error == pytest.approx(error, rel=ROUNDINGS)
    assert many.standard_error == pytest.approx(error, rel=ROUNDINGS)
    assert few.p == 1.0


def test_a_difference_below_the_resolution_of_the_clock_is_not_found() -> None:
    """100 ns against 100.5 ns, always the same: half a nanosecond is rounding, 10 ns are not."""
    half = decide({"cell": paired([100.0] * 50, [100.5] * 50)})["cell"]
    ten = decide({"cell": paired([100.0] * 50, [110.0] * 50)})["cell"]
    assert half.verdict == "SAME"
    assert ten.verdict == "SLOWER"


@pytest.mark.parametrize(
    ("baseline", "candidate"), [([1.0, 2.0], [1.0]), ([1.0, 0.0], [1.0, 1.0]), ([math.nan], [1.0])]
)
def test_medians_that_cannot_be_paired_are_refused(baseline: list[float], candidate: list[float]) -> None:
    """Lengths that differ and times that are not positive are mistakes of the caller."""
    with pytest.raises(UsageError, match="Fix"):
        paired(baseline, candidate)


def test_adaptive_spread_is_never_below_the_spread_of_all_rounds() -> None:
    """What made the run stop early may not make it look precise."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        medians = rng.lognormal(7.0, 0.02, (2, 12)).tolist()
        assert paired(*medians, adaptive=True).sd_log >= paired(*medians).sd_log


def test_a_decision_keeps_the_adjusted_p_value_of_its_own_cell() -> None:
    """Benjamini and Hochberg by hand: 2 p of the least of two, and the larger p itself; of no cells nothing is decided."""
    decisions = decide({"unclear": cell(0.005), "clear": cell(0.01)})
    assert decisions["unclear"].q == cell(0.005).p
    assert decisions["clear"].q == 2 * cell(0.01).p
    assert decide({}) == {}


def test_every_verdict_follows_from_q_and_the_interval() -> None:
    """One cell of each kind; the sides are the candidate's."""
    cells = {
        "FASTER": cell(-0.2),
        "SLOWER": cell(0.2),
        "SAME": cell(0.001),
        "AMBIGUOUS": cell(0.03, sd_log=0.1),
    }
    decisions = decide(cells)
    assert {name: d.verdict for name, d in decisions.items()} == {name: name for name in cells}
    assert [d.more_processes for d in decisions.values()][:3] == [0, 0, 0]


def test_a_difference_shown_is_a_difference_however_small() -> None:
    """SAME is for what was not shown to differ; a half per cent shown is SLOWER, with a ratio that says how little."""
    assert decide({"cell": cell(0.005, sd_log=0.001)})["cell"].verdict == "SLOWER"


def test_a_cell_significant_by_itself_is_not_a_discovery_among_many() -> None:
    """p = 0.03 alone is SLOWER; the same among 40 cells without differences is not."""
    alone = cell(0.008)
    assert alone.p < 0.05
    assert decide({0: alone})[0].verdict == "SLOWER"
    assert decide({0: alone, **{k: cell(0.0) for k in range(1, 40)}})[0].verdict == "SAME"


@pytest.mark.parametrize("mean_log", [0.0, 0.02, 0.04, 0.06, -0.06])
def test_so_many_more_processes_decide_and_one_less_does_not(mean_log: float) -> None:
    """The number is the smallest at which, with mean and spread as they are, the verdict falls."""
    now = cell(mean_log, sd_log=0.1)
    more = decide({0: now})[0].more_processes
    assert more is not None

    def verdict(pairs: int) -> str:
        return decide({0: cell(mean_log, sd_log=0.1, pairs=pairs)})[0].verdict

    assert verdict(now.pairs + more) != "AMBIGUOUS"
    assert verdict(now.pairs + more - 1) == "AMBIGUOUS"


def test_more_processes_are_not_promised_where_the_clock_is_too_coarse() -> None:
    """A standard error that stays leaves the interval wide for ever."""
    assert needed(cell(0.01, resolution_log=0.03), level=0.05, margin=0.05) is None


def test_the_detectable_ratio_is_found_four_times_in_five_by_the_noncentral_t() -> None:
    """SciPy's distribution at the critical value, at the effect that was solved for."""
    for pairs in (2, 3, 10, 100):
        ratio = detectable_ratio(pairs, 0.02)
        assert ratio is not None
        noncentrality = math.log(ratio) / (0.02 / math.sqrt(pairs))
        missed = stats.nct.cdf(t_quantile(pairs - 1), pairs - 1, noncentrality)
        assert missed == pytest.approx(0.2, rel=1e-5)  # what the search for the noncentrality leaves: five digits


def test_each_bound_of_a_proportion_holds_with_the_confidence_by_itself() -> None:
    """One-sided: were p the bound, a count as extreme would come in one of twenty. Of nothing, anything may be."""
    few = Proportion(7, 200)
    assert stats.binom.sf(6, 200, few.at_least) == pytest.approx(1 - CONFIDENCE)
    assert stats.binom.cdf(7, 200, few.at_most) == pytest.approx(1 - CONFIDENCE)
    assert (Proportion(0, 9).at_least, Proportion(9, 9).at_most) == (0.0, 1.0)
    assert (Proportion(0, 0).estimate, Proportion(0, 0).at_least, Proportion(0, 0).at_most) == (None, 0.0, 1.0)


def test_a_run_stops_when_every_cell_is_precise_or_at_its_last_round() -> None:
    """Neither before min_rounds nor for a difference, however clear."""
    rule = Precision(half_width=0.02, min_rounds=6, max_rounds=30)
    quiet, loud = cell(sd_log=0.001, pairs=10), cell(sd_log=0.1, pairs=10)
    assert rule.enough([quiet, cell(0.5, sd_log=0.001)])
    assert not rule.enough([quiet, loud])
    assert not rule.enough([cell(5.0, sd_log=0.1)])
    assert not rule.enough([cell(sd_log=0.001, pairs=5)])
    assert rule.enough([cell(sd_log=0.1, pairs=30)])


@pytest.mark.parametrize("wrong", [(0.0, 6, 30), (0.02, 3, 30), (0.02, 6, 5)])
def test_a_rule_that_cannot_stop_is_refused(wrong: tuple[float, int, int]) -> None:
    """No width, too few pilot rounds, no room between the bounds."""
    with pytest.raises(UsageError, match="Fix"):
        Precision(*wrong)
