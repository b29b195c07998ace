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
    bound = np.broadcast_to(expected.bounds[tier], expected.value.shape)
    if got.shape != expected.value.shape:
        return np.full(expected.value.shape, math.inf)
    exact = expected.rounded
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        wide = got.astype(np.float64)
        # rounding the exact value to float64 matters for float64 results and is negligible for coarser ones
        error = np.abs(double(quad(got) - expected.value) if got.dtype == np.float64 else wide - exact)
        ratio = np.where(error == 0.0, 0.0, error / bound)
        leaves = leaves_range(got, exact, bound)
    ratio = np.where(np.isfinite(wide) & ~np.isnan(ratio), ratio, math.inf)
    return np.where(np.isfinite(bound) & np.isfinite(exact), np.where(leaves, 0.0, ratio), math.nan)


def leaves_range(got: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """Where a result is an infinity that conforms: a value of its sign within the bound exceeds the range of its dtype."""
    wide = got.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.isinf(wide) & (np.sign(wide) * exact + bound > _largest(got)))


def _largest(array: np.ndarray) -> float:
    """The largest finite number of a result's dtype; infinite for unspecified dtypes."""
    precision = PRECISIONS.get(array.dtype.name)
    return precision.largest if precision else math.inf
