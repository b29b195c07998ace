"""Times of two runs: real, of the machine, or noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnspec.reports.compare.change import Change
from bnspec.reports.compare.comparison import compare_runs, compare_successive
from bnspec.reports.compare.operands import Operand
from bnspec.reports.compare.policy import read_policies, regressions
from bnspec.reports.run.records import Timing
from bnspec.reports.run.store import Run, read_run
from bnspec.reports.statistics.unpaired import unpaired

PROCESSES = 6


@pytest.fixture
def timed(write_run: Callable[..., Path], sample: Any) -> Callable[..., Run]:
    """A run of processes: each backend has a time in ns, and a spread of 1 % around it; ``hour`` scales all times of the run."""

    def run(name: str, hour: float = 1.0, **times: float) -> Run:
        draw = np.random.default_rng(sum(map(ord, name)))

        def records() -> Iterable[Timing]:
            for backend, ns in times.items():
                for process in range(PROCESSES):
                    median = ns * hour * float(np.exp(draw.normal(0.0, 0.01)))
                    samples = (int(median), int(median) + 1, int(median) + 2)
                    yield sample.timing(backend, process=process, samples_ns=samples, median_ns=median)

        return read_run(write_run(*records(), name=name))

    return run


def of(backend: str, before: Run, after: Run) -> list[Change]:
    """The changed times of a backend."""
    return [c for p, c in compare_runs(before, after).changes if p.pair.after[1].backend == backend]


def test_a_layer_that_is_slower_while_the_control_stands_is_real(timed: Callable[..., Run]) -> None:
    """With its ratio and interval; and it fails slower:1.2."""
    before, after = timed("before", numpy=1e5, alpha=2e5), timed("after", numpy=1e5, alpha=3e5)
    (change,) = of("alpha", before, after)
    assert (change.movement, change.direction) == ("real", "regression")
    assert change.low is not None
    assert change.high is not None
    assert 1.4 < change.low < 1.5 < change.high < 1.6
    assert regressions(compare_runs(before, after), read_policies(["slower:1.2"]))
    assert not regressions(compare_runs(before, after), read_policies(["slower:1.8"]))


def test_a_slower_machine_is_no_regression(timed: Callable[..., Run]) -> None:
    """The control moved as much: machine, for both."""
    before, after = timed("before", numpy=1e5, alpha=2e5), timed("after", hour=1.5, numpy=1e5, alpha=2e5)
    assert [c.movement for c in of("alpha", before, after)] == ["machine"]
    assert [c.movement for c in of("numpy", before, after)] == ["machine"]
    assert not regressions(compare_runs(before, after), read_policies(["slower:1.2"]))


def test_a_layer_that_is_slower_on_a_faster_machine_is_found(timed: Callable[..., Run]) -> None:
    """Its time is the same, and relative to the control it is not."""
    before, after = timed("before", numpy=1e5, alpha=2e5), timed("after", hour=0.5, numpy=1e5, alpha=4e5)
    assert [c.movement for c in of("alpha", before, after)] == ["real"]


def test_without_a_control_in_both_runs_nothing_is_called_real(timed: Callable[..., Run]) -> None:
    """Two runs, two hours."""
    before, after = timed("before", alpha=2e5), timed("after", alpha=4e5)
    assert [c.movement for c in of("alpha", before, after)] == ["machine"]


def test_two_releases_of_one_run_are_paired_by_round(timed: Callable[..., Run]) -> None:
    """They took turns on one machine: a movement is real."""
    run = timed("releases", **{"alpha[alpha==1]": 1e5, "alpha[alpha==2]": 1.3e5})
    assert [c.movement for _, c in compare_successive(Operand(run)).changes] == ["real"]


def test_equal_code_is_seldom_called_changed(timed: Callable[..., Run]) -> None:
    """Rates of false discoveries are controlled over all targets: of 40 comparisons none, or hardly one."""
    names = {f"alpha{i}": 1e5 for i in range(40)}
    found = compare_runs(timed("before", numpy=1e5, **names), timed("after", numpy=1e5, **names))
    assert sum(c.movement == "real" for _, c in found.changes) <= 1


def test_unpaired_is_welch_s_test() -> None:
    """Against scipy's, which has no resolution."""
    from scipy.stats import ttest_ind

    draw = np.random.default_rng(3)
    a, b = draw.normal(0, 1, 7), draw.normal(0.7, 2, 5)
    found, theirs = unpaired(a.tolist(), b.tolist()), ttest_ind(b, a, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval()
    assert np.log([found.low, found.high]) == pytest.approx([low, high])
    assert unpaired([1.0], [2.0]).p == 1.0
