"""The oracle knows when quad precision is not enough: it escalates there, only there, and its error analysis is sound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from oracle_cases import ADVERSARIES, case_of, extremes, families, ill_conditioned
from oracle_comparison import Comparison

from bnspec.arithmetic.balls import LADDER, at_precision, ball, midpoints
from bnspec.arithmetic.quad import double, quad
from bnspec.conformance.cases.building import Form, Plan, batch_norm_case
from bnspec.exact import outputs as exact
from bnspec.exact.certification import ROUNDING, Doubt
from bnspec.model.call import INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Oracle


class Settled(NamedTuple):
    """The arguments and the result of one call of ``exact.settled``."""

    value: Any
    doubt: Doubt
    compute: Any
    rows: list[np.ndarray]
    escalated: bool


class Watch:
    """Records the calls of ``exact.settled`` while one-channel cases are answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settled: list[Settled] = []
        self.refinements = 0
        settled, refined = exact.settled, exact.refined

        def counted(compute: Any) -> Any:
            self.refinements += 1
            return refined(compute)

        def watched(value: Any, doubt: Doubt, config: Any, compute: Any, *inputs: Any, where: Any = None) -> Any:
            before = self.refinements
            answer = settled(value, doubt, config, compute, *inputs, where=where)
            if config.channels == 1:
                rows = [double(i).reshape(-1) for i in inputs]
                self.settled.append(Settled(value, doubt, compute, rows, self.refinements > before))
            return answer

        monkeypatch.setattr(exact, "settled", watched)
        monkeypatch.setattr(exact, "refined", counted)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Records the oracle's internal calls."""
    return Watch(monkeypatch)


def answer(case: Case) -> None:
    """Ask for everything."""
    oracle, conventions = Oracle(case), Conventions(running_correction=1)
    for call in (TRAINING_GRADIENTS, INFERENCE_GRADIENTS):
        oracle.expect(Step(call, ("x", "dy")), case.arrays, conventions)


def null_space(kappa: float) -> Case:
    """dy in the null space of the backward pass (x itself, scaled): dx is epsilon's doing alone."""
    rng = np.random.RandomState(7)
    x = kappa + rng.standard_normal((50, 1))
    return case_of(x, x / 4.0, 2.0**-100, rng)


def crafted() -> Iterator[tuple[str, Case]]:
    """Cases that quad precision gets wrong."""
    rng = np.random.RandomState(8)
    for kappa in (1e8, 1e12):
        yield f"null space at kappa {kappa:g}", null_space(kappa)
    x = rng.standard_normal((30, 1))
    yield "dx exactly 0", case_of(x, np.full(x.shape, 0.3), 1e-5, rng)
    yield (
        "an inverse of forward",
        case_of(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [1.0], [1.0]]) / 3.0, 0.0, rng),
    )


@pytest.mark.parametrize(("label", "case"), [pytest.param(*c, id=c[0]) for c in crafted()])
def test_where_quad_is_not_enough_the_oracle_escalates(label: str, case: Case, watch: Watch) -> None:
    """And agrees with the second oracle."""
    comparison = Comparison()
    comparison.compare(case, label)
    assert watch.refinements
    assert not comparison.disagreements


@pytest.mark.parametrize(("label", "case"), [pytest.param(*c, id=c[0]) for c in crafted()])
def test_these_cases_need_it(label: str, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without escalation the oracle's answers to them are wrong: the test above could have failed."""
    monkeypatch.setattr(Doubt, "channels", lambda self, least: np.zeros(least.size, bool))
    comparison = Comparison()
    comparison.compare(case, label)
    assert comparison.disagreements


@pytest.mark.parametrize(
    "kind", ["ordinary", "mean_1e2", "mean_1e4", "narrow", "wide", "like_epsilon", "sorted", "pixels"]
)
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_ordinary_cases_do_not_escalate(kind: str, dtype: str, watch: Watch) -> None:
    """Balls cost hundreds of times as much as quad: they are for the cases that need them."""
    parameter = dtype if dtype in ("float32", "float64") else "float32"
    answer(batch_norm_case(Plan(Form((6, 3, 5), 1, dtype, parameter), kind, epsilon=1e-5, seed=11)))
    assert watch.refinements == 0


def sound_cases() -> Iterator[tuple[str, Case]]:
    """Every family and adversary, one channel each."""
    yield from families(31, (11, 1))
    yield from ill_conditioned(32, (2, 3, 17, 64))
    yield from extremes(33)


def test_the_oracles_own_error_bound_is_sound(watch: Watch) -> None:
    """In every family and adversary, quad's distance from an enclosure is within the bound by which it was judged certain."""
    for label, case in sound_cases():
        watch.settled.clear()
        answer(case)
        for settled in watch.settled:
            if not (np.isfinite(double(settled.value)).all() and all(np.isfinite(r).all() for r in settled.rows)):
                continue
            enclosed = at_precision(LADDER[-1], lambda s=settled: s.compute(*map(ball, s.rows)))
            error = np.abs(double(midpoints(enclosed) - settled.value.reshape(-1)))
            size = np.abs(double(settled.value)).reshape(-1)
            limit = np.asarray(
                settled.doubt.absolute + np.asarray(settled.doubt.relative) * size.reshape(1, -1)
            ).reshape(-1)
            # a double's underflow is not quad's error
            allowed = ROUNDING * limit + 2.0**-1074
            assert (error <= allowed).all(), label


def test_every_adversary_is_used() -> None:
    """The cotangents that are named are all used."""
    labels = {label for label, _ in ill_conditioned(32, (2, 3))}
    assert all(any(name in label for label in labels) for name in ADVERSARIES)


def test_a_case_without_an_answer_is_left_alone() -> None:
    """A constant channel with epsilon 0 has no normalised value; the oracle says NaN, and does not search for one."""
    case = case_of(np.full((4, 1), 3.0), np.ones((4, 1)), 0.0, np.random.RandomState(1))
    expected = Oracle(case).expect(Step(TRAINING_GRADIENTS, ("x", "dy")), case.arrays, Conventions())
    assert np.isnan(double(expected["y"].value)).all()
    assert double(quad(3.0)) == 3.0
