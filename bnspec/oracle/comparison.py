"""Error ratios: the distance of a result from the oracle's answer, in units of the bound."""

from __future__ import annotations

import math

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import Expected


def ratios_of(got: np.ndarray, expected: Expected, tier: Tier) -> np.ndarray:
    """error / bound per element; 0/0 is 0; NaN where the bound is NaN or infinite and the element is not judged.

    A result of the wrong shape has an infinite ratio everywhere. An infinity conforms where a value of its sign within the
    bound exceeds the result's range. The bounds define other accepted outcomes: see ``bnspec.bounds.batch_norm``.
    """
    if got.shape != expected.value.shape:
        return np.full(expected.value.shape, math.inf)
    return ratios_to(got, expected, error_of(got, expected), expected.bounds[tier])


def error_of(got: np.ndarray, expected: Expected) -> np.ndarray:
    """The absolute error per element of a result of the right shape; NaN where either is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        # rounding the exact value to float64 matters for float64 results and is negligible for coarser ones
        if got.dtype == np.float64:
            return np.abs(double(quad(got) - expected.value))
        return np.abs(got.astype(np.float64) - expected.rounded)


def ratios_to(got: np.ndarray, expected: Expected, error: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """The ratios of ``ratios_of`` for a known error, to any bound, broadcastable."""
    exact = expected.rounded
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        ratio = np.where(error == 0.0, 0.0, error / bound)
    if not np.isfinite(error).all():
        leaves = leaves_range(got, exact, bound)
        finite = np.isfinite(got.astype(np.float64)) & ~np.isnan(ratio)
        ratio = np.where(leaves, 0.0, np.where(finite, ratio, math.inf))
    return np.where(np.isfinite(bound) & np.isfinite(exact), ratio, math.nan)


def leaves_range(got: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Where a result is an infinity that conforms: a value of its sign within the bound exceeds the range of its dtype."""
    wide = got.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.isinf(wide) & (np.sign(wide) * exact + bound > _largest(got)))


def _largest(array: np.ndarray) -> float:
    """The largest finite number of a result's dtype; infinite for unspecified dtypes."""
    precision = PRECISIONS.get(array.dtype.name)
    return precision.largest if precision else math.inf
