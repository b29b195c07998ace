"""Balls: exact input, enclosing operations, one rounding on output; and the assumptions about quad precision."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bnspec.arithmetic.balls import LADDER, at_precision, ball, contains, midpoints, refined
from bnspec.arithmetic.quad import double, quad
from bnspec.equations import batch_norm as eq
from bnspec.errors import HarnessError
from bnspec.exact.certification import ROUNDING, mean_roundings

BITS = LADDER[0]
OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "sqrt": lambda a, b: np.sqrt(a * a),
}


def scattered(seed: int, count: int, reach: int) -> np.ndarray:
    """Doubles of every size between 2^-reach and 2^reach."""
    rng = np.random.RandomState(seed)
    return rng.standard_normal(count) * np.exp2(rng.randint(-reach, reach + 1, count))


def exactly(value: Any) -> Fraction:
    """A quad number as a rational, from three doubles that add up to it."""
    parts = []
    for _ in range(3):
        parts.append(float(double(value)))
        value = value - quad(parts[-1])
    return sum(map(Fraction, parts), Fraction(0))


def test_a_double_becomes_a_ball_of_radius_nought_and_comes_back() -> None:
    """Subnormal, huge, signed and fractional numbers alike."""
    values = np.concatenate([scattered(1, 200, 1000), [0.0, 2.0**-1074, -(2.0**-1074), 1.7e308, 0.1]])
    balls = ball(values.reshape(5, -1))
    assert all(b.rad() == 0 for b in balls.reshape(-1))
    assert np.array_equal(double(midpoints(balls)), values.reshape(5, -1))
    assert contains(balls, values.reshape(5, -1)).all()


def test_the_precision_is_left_as_it_was() -> None:
    """Whoever else computes with balls is not disturbed."""
    import flint

    before = flint.ctx.prec
    assert at_precision(BITS + 1, lambda: flint.ctx.prec) == BITS + 1
    assert flint.ctx.prec == before


def test_the_equations_run_on_balls_and_enclose_their_float64_selves() -> None:
    """Every output of the text in float64 lies beside an enclosure that is narrow and holds the quad value."""
    rng = np.random.RandomState(3)
    x, dy = rng.standard_normal((2, 5, 3))
    gamma, beta = rng.standard_normal((2, 1, 3))
    texts = (
        lambda x, dy, gamma, beta: eq.training_forward(x, gamma, beta, 1e-5, (0,)),
        lambda x, dy, gamma, beta: eq.training_dx(x, dy, gamma, 1e-5, (0,)),
        lambda x, dy, gamma, beta: eq.inference_forward(x, gamma, beta, beta, gamma * gamma, 1e-5),
    )
    for text in texts:
        enclosed = refined(lambda text=text: text(*map(ball, (x, dy, gamma, beta))))
        in_quad = text(*map(quad, (x, dy, gamma, beta)))
        assert np.array_equal(double(midpoints(enclosed)), double(in_quad))


def test_a_number_smaller_than_any_double_is_settled_as_nought() -> None:
    """An exact zero is never found by enclosing it; half the smallest double is near enough."""
    third = refined(lambda: ball(1.0) / 3.0 - (ball(2.0) - ball(1.0)) / 3.0)
    assert double(midpoints(third)) == 0.0


def test_what_is_not_determined_is_an_error() -> None:
    """0 / 0 has no value at any precision."""
    with pytest.raises(HarnessError, match="does not settle"):
        refined(lambda: ball(0.0) / ball(0.0))


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_quad_operation_errs_by_more_than_a_rounding(name: str) -> None:
    """What ``certification`` assumes of the arithmetic, on thousands of random operands."""
    a, b = scattered(4, 3000, 60), scattered(5, 3000, 60)
    left, right = quad(a) + quad(a[::-1]) * 2.0**-60, quad(b) + quad(b[::-1]) * 2.0**-61
    got = OPERATIONS[name](left, right)
    for p, q, found in zip(left, right, got, strict=True):
        exact_p, exact_q = exactly(p), exactly(q)
        if name == "sqrt":
            exact = exactly(p * p)
            assert abs(exactly(found) ** 2 - exact) <= 2 * Fraction(ROUNDING) * exact
        else:
            exact = OPERATIONS[name](exact_p, exact_q)
            assert abs(exactly(found) - exact) <= Fraction(ROUNDING) * abs(exact)


@pytest.mark.parametrize("reach", [0, 5, 20])
def test_a_sum_that_is_called_exact_is(reach: int) -> None:
    """A mean with no error, or one of a single rounding, is what ``mean_roundings`` says it is; others are within theirs."""
    said = set()
    for seed in range(60):
        count = (3, 4, 7, 64)[seed % 4]
        values = np.round(scattered(seed, count, reach) * 16.0) / 16.0 if seed % 3 else scattered(seed, count, reach)
        mean = np.mean(quad(values), keepdims=True)
        magnitudes = np.abs(values)
        least = np.array([np.min(magnitudes[magnitudes > 0.0], initial=np.inf)])
        error = mean_roundings(np.array([magnitudes.sum()]), least, mean, count)
        exact = sum(map(Fraction, values.tolist()), Fraction(0)) / count
        assert abs(exactly(mean[0]) - exact) <= Fraction(ROUNDING) * Fraction(float(error[0]))
        said.add("exact" if error[0] == 0.0 else "rounded")
    assert said == {"exact", "rounded"}
