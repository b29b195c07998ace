"""Error over bound at the ends of a result's range."""

from __future__ import annotations

import numpy as np

from bnspec.arithmetic.quad import quad
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.expected import TIERS, Expected


def expected(value: float, bound: float) -> Expected:
    """One element with the same bound in every tier."""
    return Expected(quad(np.array([value])), dict.fromkeys(TIERS, np.array([bound])))


def ratio(got: float, value: float, bound: float) -> float:
    """error / bound of one float16 result."""
    return float(ratios_of(np.array([got], np.float16), expected(value, bound), "lenient")[0])


def test_an_infinity_is_right_where_a_value_within_the_bound_is_one() -> None:
    """Of that value's sign: 0 give or take 10^6 may be either infinity in float16, 65,000 give or take 1,000 only one."""
    assert ratio(np.inf, 0.0, 1e6) == ratio(-np.inf, 0.0, 1e6) == 0.0
    assert ratio(np.inf, 65000.0, 1000.0) == 0.0
    assert ratio(-np.inf, 65000.0, 1000.0) == np.inf
    assert ratio(np.inf, 0.0, 1000.0) == np.inf


def test_no_number_is_never_right() -> None:
    """However wide the bound."""
    assert ratio(np.nan, 0.0, 1e6) == np.inf
