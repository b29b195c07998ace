"""A-priori bounds on the oracle's own rounding errors, channel by channel: they decide where quad precision suffices.

An output of the oracle is certain when its error is at most 2^-10 of half a unit in the last place of a double (or half of the
smallest double): then its rounding to double is right to a unit in the last place, and its error is negligible against every
bound of ``bounds``. Outputs that are not certain are computed again on balls.

Errors are counted in roundings: multiples of V = 2^-112, twice quad's unit roundoff, which no operation's relative error
exceeds. An output v is known to within V (absolute + relative |v|); both are per channel, so one minimum of |v| decides:

    certain  <=>  relative <= 2^48  and  (absolute 2^-48 <= min |v|  or  absolute <= 2^-963)

Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", 3.1, with second-order terms covered by a factor of 2
where they are not smaller than V.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bnspec.arithmetic.quad import Quad, double, quad

Array = np.ndarray

ROUNDING = 2.0**-112
TINY = 2.0**-1022  # where float64 products lose digits
_ENOUGH = 2.0**48  # V 2^48 = 2^-64: half of the allowance; the other half is for the relative part
_NOTHING = 2.0**-963  # V 2^-963 = 2^-1075
_EXACT_SUM = 2.0**58  # quad sums are exact up to 2^112 quanta, and a double is less than 2^53 of its quanta; halved


class Doubt(NamedTuple):
    """Bounds on an output's error in roundings, per channel: the absolute part, and the part relative to the output."""

    absolute: Array
    relative: Array | float

    def channels(self, least: Array) -> Array:
        """Which channels are not certain, (C,), for the smallest magnitude of the output in each."""
        with np.errstate(invalid="ignore", over="ignore"):
            steady = (self.absolute / _ENOUGH <= least) | (self.absolute <= _NOTHING)
            return ~(steady & (np.asarray(self.relative) <= _ENOUGH)).reshape(-1)


def mean_roundings(total: Array, least: Array, mean: Quad, count: int) -> Array:
    """Error of a mean of doubles, in roundings.

    1. the sum of |values| is below 2^112 times the quantum of the smallest: it is exact in any order, and the division rounds once;
    2. and the mean is itself a double: then the division was exact, since its error would be below the quantum;
    3. otherwise: one rounding per addition, of at most the sum of |values|.

    Args:
        total, least: sum of |values|, and the smallest one that is not 0 (infinite if there is none), float64.
        mean: the quad mean; count: how many values.
    """
    rounded = double(mean)
    with np.errstate(invalid="ignore", over="ignore"):
        exact_sum = (total <= _EXACT_SUM * least) & np.isfinite(total)
        summed = total * ((count + 1.0) / max(count, 1))
    divided = np.where(quad(rounded) == mean, 0.0, np.maximum(np.abs(rounded), TINY))
    return np.where(exact_sum, divided, summed)


class StatisticsDoubt(NamedTuple):
    """Errors in roundings: of the mean, of mean * inv_std, and of inv_std, relative to it."""

    mean: Array
    shift: Array
    inv_std: Array | float


#: Given statistics are exact; inv_std takes a sum, a root and a division.
GIVEN = StatisticsDoubt(np.zeros(()), np.zeros(()), 3.0)


def var_doubt(count: int, mean: Array) -> Doubt:
    """Error of the population variance: the squares, their sum, the division; the mean's error enters squared.

    The variance about a mean that is off by e is var + e^2, with deviations that are rounded.
    """
    with np.errstate(over="ignore"):
        return Doubt(2.0 * (ROUNDING * mean) * mean, count + 6.0)


def training_doubt(count: int, mean: Array, inv_std: Array, correction: int = 0) -> StatisticsDoubt:
    """Errors of a batch's own statistics, given the mean's error in roundings; 1 / sqrt halves the variance's relative error.

    A corrected variance takes two roundings more; its error by the mean's grows by at most 2, for which the halving has room.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        shift = product(mean, inv_std)
        relative = count + 6.0 + 2.0 * (ROUNDING * shift) * shift + 3.0 + (2.0 if correction else 0.0)
    # a variance without any correct digit is left to the balls
    return StatisticsDoubt(mean, shift, np.where(relative * ROUNDING < 2.0**-4, relative, math.inf))


def output_doubt(statistics: StatisticsDoubt, gamma: Array, beta: Array) -> Doubt:
    """Error of y = gamma zhat + beta: gamma shift, and |gamma zhat| <= |y| + |beta| in relative error; gamma, beta: magnitudes."""
    relative = statistics.inv_std + 5.0
    return Doubt(product(gamma, statistics.shift) + product(beta, relative), relative)


class CotangentDoubt(NamedTuple):
    """Errors in roundings: of A = mean(dy) and of B = mean(dy zhat)."""

    mean_dy: Array
    mean_dy_zhat: Array


def cotangent_doubt(
    statistics: StatisticsDoubt, count: int, mean_dy: Array, mean_abs: Array, largest_z: Array
) -> CotangentDoubt:
    """Errors of the two means, given the error of A; mean_abs: mean of |dy|; largest_z: the largest |zhat|."""
    summed = product(largest_z, count + 6.0 + np.asarray(statistics.inv_std))
    return CotangentDoubt(mean_dy, product(mean_abs, summed + statistics.shift))


def corrected_doubt(cotangent: CotangentDoubt, factor: float, mean_dy_zhat: Array) -> CotangentDoubt:
    """The same with B corrected: its error times the factor, and two roundings; mean_dy_zhat: the corrected magnitude."""
    return CotangentDoubt(cotangent.mean_dy, factor * cotangent.mean_dy_zhat + product(2.0, mean_dy_zhat))


def dx_doubt(
    statistics: StatisticsDoubt, cotangent: CotangentDoubt, mean_dy_zhat: Array, largest_z: Array, factor: Array
) -> Doubt:
    """Error of dx = gamma inv_std (dy - A - zhat B); factor: |gamma inv_std|; mean_dy_zhat: |B|.

    1. A and B in error, and zhat in error:   E_A + |zhat| E_B + |B| (shift + |zhat| relative)
    2. the roundings of the bracket:          |dy - A| <= |bracket| + |zhat B|, and 3 |zhat B|
    3. the factor in error, and its products: |dx| (relative + 6)
    """
    own = statistics.shift + product(largest_z, np.asarray(statistics.inv_std) + 5.0)
    bracket = cotangent.mean_dy + product(largest_z, cotangent.mean_dy_zhat) + product(mean_dy_zhat, own)
    return Doubt(product(factor, bracket), statistics.inv_std + 6.0)


def running_doubt(old: Array, batch: Array, error: Array, decay: float) -> Doubt:
    """Error of decay old + (1 - decay) batch, given the batch statistic's error; old, batch: magnitudes."""
    with np.errstate(invalid="ignore", over="ignore"):
        return Doubt((1.0 - decay) * (error + 4.0 * batch) + 2.0 * decay * old, 1.0)


def least_magnitude(magnitudes: Array, axes: tuple[int, ...]) -> Array:
    """The smallest magnitude of each channel, shape (1, C, 1, ...)."""
    return np.min(magnitudes, axis=axes, keepdims=True, initial=math.inf)


def product(a: Array | float, b: Array | float) -> Array:
    """a * b for errors and magnitudes: 0 * inf = 0, since what is exactly zero has no error; never 0 by underflow."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return np.where((np.asarray(a) == 0.0) | (np.asarray(b) == 0.0), 0.0, np.maximum(a * np.asarray(b), TINY))
