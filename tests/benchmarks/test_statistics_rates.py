"""False alarms and discoveries, counted over simulated data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest

from bnspec.benchmarks.statistics.calibration import ALONE, OURS, Calibration, RuleRecord, calibrate
from bnspec.benchmarks.statistics.detectable_effect import detectable_by_injection, detectable_ratio
from bnspec.benchmarks.statistics.other_rules import OTHER_RULES
from bnspec.benchmarks.statistics.self_comparison import SelfComparison, self_comparison
from bnspec.benchmarks.statistics.stopping import Precision
from bnspec.errors import UsageError
from bnspec.reports.statistics.paired import LEVEL, Paired, paired
from bnspec.reports.statistics.verdicts import decide

#: Of the log time of a process.
SPREAD = 0.02
Draw = Callable[[np.random.Generator, int], np.ndarray]


def margin(probability: float, outcomes: int) -> float:
    """Three standard errors of a binomial proportion."""
    return 3.0 * math.sqrt(probability * (1.0 - probability) / outcomes)


def normal(rng: np.random.Generator, rounds: int) -> np.ndarray:
    """Log times of two contenders."""
    return SPREAD * rng.standard_normal((2, rounds))


def heavy_tailed(rng: np.random.Generator, rounds: int) -> np.ndarray:
    """Now and then a process that is far off."""
    return SPREAD / math.sqrt(3.0) * rng.standard_t(3, (2, rounds))


def drifting(rng: np.random.Generator, rounds: int) -> np.ndarray:
    """A machine that grows warm: in every round both contenders are slower by the spread, in its steps by as much again."""
    walk = np.cumsum(SPREAD * (1.0 + rng.standard_normal(rounds)))
    return walk + normal(rng, rounds)


def stopped(draw: Draw, rng: np.random.Generator, rule: Precision, pilots: bool) -> Paired:
    """A run of one cell without a difference, up to where the rule ends it; or a rule on the spread of all rounds."""
    baseline, candidate = 1e6 * np.exp(draw(rng, rule.max_rounds))
    for rounds in range(rule.min_rounds, rule.max_rounds + 1):
        now = paired(baseline[:rounds].tolist(), candidate[:rounds].tolist(), adaptive=pilots)
        judged = now if pilots else Paired(rounds, now.mean_log, now.sd_log, now.sd_log, now.resolution_log)
        if rule.enough([judged]):
            return now
    raise AssertionError("the rule does not stop at its last round")


#: Narrower and wider than an interval of these spreads is at once, so that runs end everywhere between the bounds.
RULE = Precision(half_width=0.5 * math.sqrt(2.0) * SPREAD, min_rounds=5, max_rounds=30)
RUNS = 2000


@pytest.mark.parametrize("draw", [normal, heavy_tailed, drifting])
def test_stopping_by_precision_raises_no_false_alarms(draw: Draw) -> None:
    """At most 5 %, whatever the errors are like, in the hardest case: one cell, which alone decides when to stop."""
    rng = np.random.default_rng(3)
    runs = [stopped(draw, rng, RULE, pilots=True) for _ in range(RUNS)]
    assert {run.pairs for run in runs} == set(range(RULE.min_rounds, RULE.max_rounds + 1)), "runs must end everywhere"
    assert np.mean([run.p <= LEVEL for run in runs]) <= LEVEL + margin(LEVEL, RUNS)


def test_stopping_by_the_spread_of_all_rounds_would_raise_them() -> None:
    """The control, and the reason for pilot rounds: with the plain rule the share is beyond the limit of the test above."""
    rng = np.random.default_rng(3)
    runs = [stopped(normal, rng, RULE, pilots=False) for _ in range(RUNS)]
    assert np.mean([run.p <= LEVEL for run in runs]) > LEVEL + margin(LEVEL, RUNS)


def test_the_false_discovery_rate_is_at_most_the_requested_one() -> None:
    """20 cells, of which 10 differ by what is found half the time: the mean share of false ones is at most the rate."""
    rng, families, rate = np.random.default_rng(4), 400, 0.05
    shares = []
    for _ in range(families):
        cells = {k: paired(*(1e6 * np.exp(normal(rng, 8))).tolist()) for k in range(20)}
        cells = {k: cell.slowed(2.0 * SPREAD if k % 2 else 0.0) for k, cell in cells.items()}
        called = [k for k, d in decide(cells, rate).items() if d.verdict in ("FASTER", "SLOWER")]
        shares.append(sum(k % 2 == 0 for k in called) / max(len(called), 1))
    assert np.mean(shares) <= rate + 3.0 * np.std(shares) / math.sqrt(families)
    assert np.mean(shares) > 0.0, "the control: there are some to be counted"


def test_the_formula_and_injected_slowdowns_agree_on_the_detectable_ratio() -> None:
    """Cells alone in their families: no other cell moves the level, and the share found is the test's power."""
    rng, cells, pairs = np.random.default_rng(5), 2000, 10
    families = [{0: paired(*(1e6 * np.exp(normal(rng, pairs))).tolist())} for _ in range(cells)]
    injected = detectable_by_injection(families, sure=False)
    assert injected is not None
    sd = math.sqrt(2.0) * SPREAD
    low, high = (detectable_ratio(pairs, sd, power=0.8 + side * margin(0.8, cells)) for side in (-1, 1))
    assert low is not None
    assert high is not None
    assert low <= injected <= high


def a_machine(families: int, cells: int, processes: int, samples: int, seed: int = 6) -> list[SelfComparison]:
    """One code against itself; processes differ as much as samples within one do."""
    rng = np.random.default_rng(seed)

    def arm() -> np.ndarray:
        levels = SPREAD * rng.standard_normal((processes, 1))
        return np.rint(1e5 * np.exp(levels + SPREAD * rng.standard_normal((processes, samples))))

    return [self_comparison(f"cell {c}", f"run {f}", arm(), arm()) for f in range(families) for c in range(cells)]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """20 replicate runs of 12 cells: 240 comparisons."""
    return calibrate(a_machine(families=20, cells=12, processes=8, samples=20))


def record(calibration: Calibration, rule: str) -> RuleRecord:
    """The record of one rule."""
    (found,) = [r for r in calibration.rules if r.rule == rule]
    return found


def test_a_calibration_meets_the_false_alarm_and_detection_rates(calibration: Calibration) -> None:
    """At most 5 % of false alarms over at least 200 comparisons; what is printed as detectable is found in at least 80 %."""
    ours = record(calibration, OURS)
    assert ours.false_alarms.of == calibration.comparisons >= 200
    assert ours.false_alarms.count <= LEVEL * ours.false_alarms.of
    assert ours.alarmed_families.count <= LEVEL * 20 + 20 * margin(LEVEL, 20)
    assert ours.found.of == calibration.comparisons // 2, "the held-out half"
    assert (ours.found.estimate or 0.0) >= calibration.power
    assert calibration.detectable_ratio is not None
    assert 1.0 < (calibration.estimated_ratio or 0.0) <= calibration.detectable_ratio
    assert (ours.false_discovery_rate or 0.0) <= LEVEL + margin(LEVEL, 10)


def test_the_test_itself_has_the_level_that_its_interval_claims(calibration: Calibration) -> None:
    """The few alarms of our rule are not the correction's doing alone."""
    alone = record(calibration, ALONE)
    assert (alone.false_alarms.estimate or 0.0) <= LEVEL + margin(LEVEL, 240)


@pytest.mark.parametrize("rule", ["Welch, pooled samples", "Mann-Whitney, pooled samples"])
def test_pooling_the_samples_of_processes_raises_false_alarms(calibration: Calibration, rule: str) -> None:
    """Samples of one process are not independent, and a test that takes them so finds differences everywhere."""
    assert record(calibration, rule).false_alarms.at_least > LEVEL


def test_a_calibration_is_the_same_after_json(calibration: Calibration) -> None:
    """What is stored is all there is."""
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json(), allow_nan=False))) == calibration


def test_a_machine_without_spread_is_calibrated_too() -> None:
    """All samples alike: no rule raises an alarm, and what a nanosecond is of 100 can be found."""
    still = [[100.0] * 5] * 6
    got = calibrate([self_comparison(str(c), str(f), still, still) for f in range(4) for c in range(10)])
    assert {t.false_alarms.count for t in got.rules} == {0}
    assert got.detectable_ratio is not None


def test_too_few_cells_give_no_detectable_ratio() -> None:
    """Four cells cannot show four in five with confidence, and without a ratio no slowdown is injected."""
    got = calibrate(a_machine(families=2, cells=4, processes=5, samples=5))
    assert got.detectable_ratio is None
    assert {t.found.of for t in got.rules} == {0}
    assert Calibration.from_json(json.loads(json.dumps(got.to_json()))) == got


def test_a_calibration_needs_two_runs_with_each_cell_once() -> None:
    """One run to tell what is detectable and one to check it."""
    once = a_machine(families=1, cells=2, processes=3, samples=3)
    with pytest.raises(UsageError, match="two runs"):
        calibrate(once)
    with pytest.raises(UsageError, match="comes twice"):
        calibrate(once + once)


ORDINARY = [[100.0, 101.0, 102.0, 103.0], [100.5, 101.5, 102.5, 103.5], [99.5, 101.0, 102.0, 103.0]]


@pytest.mark.parametrize("name", OTHER_RULES)
def test_every_other_rule_finds_the_side_of_twice_the_time(name: str) -> None:
    """For a candidate that takes twice as long, or half."""
    rule = OTHER_RULES[name]
    slow = self_comparison("cell", "run", ORDINARY, ORDINARY).slowed(2.0)
    assert rule(slow) == "SLOWER"
    assert rule(SelfComparison("cell", "run", slow.candidate, slow.baseline)) == "FASTER"


@pytest.mark.parametrize("name", OTHER_RULES)
def test_no_other_rule_finds_a_difference_between_a_contender_and_itself(name: str) -> None:
    """The very same samples; nvbench's rules say SAME, a test cannot."""
    expected = "SAME" if name.startswith("nvbench") else "AMBIGUOUS"
    assert OTHER_RULES[name](self_comparison("cell", "run", ORDINARY, ORDINARY)) == expected
