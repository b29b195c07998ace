"""A-priori rounding-error bounds, element by element.

What is bounded: the difference between a correct implementation's result in the declared precisions and the exact value for
the same inputs. Notation: u unit roundoff, m elements per channel, gamma_n = n u / (1 - n u) the accumulated relative error of n
roundings in any order (Higham 2002, "Accuracy and Stability of Numerical Algorithms", 3.1), kappa = |mean| / std.

Tiers:

    lenient      any textbook formula, E[x^2] - E[x]^2 included, in x's own precision: variance errors grow with kappa^2.
                 What a MUST uses, so that a MUST is violated by wrong semantics only.
    permissive   any summation order of a stable algorithm (two-pass, Welford, merged, shifted by a sample) in the declared
                 precision: growth with m linear, with kappa linear. What a SHOULD on accuracy uses.
    good         pairwise or blocked summation, or a wider accumulator: growth with log2 m. Measured, never demanded.

All functions return float64 arrays; an infinite bound says that nothing can be promised. Common limitations: reductions beyond
1/u elements; squares that overflow or underflow the statistics' precision are bounded by infinity or by ``smallest``;
square root, division and reciprocal square root are taken as accurate to 4 u together.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from bnspec.arithmetic import double
from bnspec.facts import Batch, Cotangent, Normalisation
from bnspec.precision import Precision, Units

Tier = Literal["lenient", "permissive", "good"]
Array = np.ndarray

#: Relative room for evaluating the bounds themselves in float64.
ROOM = 1.0 + 2.0**-30
#: Roundings of 1/sqrt(var + epsilon) beyond the variance's own error: storing epsilon, the sum, the root, the reciprocal.
INV_STD_ROUNDINGS = 6.0


class StatisticsError(NamedTuple):
    """Bounds on the errors of the batch statistics, shape (1, C, 1, ...): of the mean, and of the population variance."""

    mean: Array
    var: Array


def growth(terms: int, tier: Tier) -> float:
    """The number of roundings that a sum of so many terms accumulates."""
    if tier == "good":
        return min(float(terms), 8.0 + math.ceil(math.log2(max(terms, 2))))
    return float(terms)


def gamma(roundings: float, precision: Precision) -> float:
    """gamma_n = n u / (1 - n u); infinite from n u = 1 on."""
    product = roundings * precision.unit_roundoff
    return product / (1.0 - product) if product < 1.0 else math.inf


def statistics_error(batch: Batch, units: Units, tier: Tier) -> StatisticsError:
    """Errors of the batch mean and of the population variance.

    Error sources, M = max(mean |x|, 2 max |x - mean|):

        1. the mean, summed plainly, updated (Welford) or shifted by a sample:    E_mean = gamma_{n+2 log2 n+4} M
        2. two-pass: squares of x - mean and their sum; the mean's error enters squared:  gamma_{n+6} var + E_mean^2
        3. updating and merging: each deviation is from a mean in error:          gamma_{n+8} var + 3 E_mean std + E_mean^2
        4. shifted by a sample x_0, |x_0 - mean| <= D = max |x - mean|:            gamma_{n+6} (var + 3 D^2)
        5. lenient only, E[x^2] - E[x]^2:                                         gamma_{n+6} 3 E[x^2]

    with n = growth(m). The variance's bound is the largest of 3 (which covers 2) and 4, in the lenient tier also 5.

    Known limitations: a shift by anything but a sample of the channel (the running mean, say) is covered by 5 only.
    """
    u, m = units.statistics, batch.count
    n = growth(m, tier)
    scale = np.maximum(batch.mean_abs, 2.0 * batch.spread)
    mean = gamma(n + 2.0 * math.log2(max(m, 1)) + 4.0, u) * scale + 2.0 * u.smallest
    std = np.sqrt(batch.var64)
    updating = gamma(n + 8.0, u) * batch.var64 + 3.0 * mean * std + mean * mean
    shifted = gamma(n + 6.0, u) * (batch.var64 + 3.0 * batch.spread**2)
    var = np.maximum(updating, shifted)
    if tier == "lenient":
        var = np.maximum(var, gamma(n + 6.0, u) * 3.0 * batch.mean_square)
    overflows = batch.mean_square * m * 4.0 > u.largest
    var = np.where(overflows, math.inf, var) + 8.0 * u.smallest
    return StatisticsError(mean * ROOM, var * ROOM)


def inv_std_error(normalisation: Normalisation, var_error: Array | float, precision: Precision) -> Array:
    """Relative error of 1/sqrt(var + epsilon) for a variance known to within ``var_error``: evaluated, not linearised.

    Infinite where the variance in error could make var + epsilon vanish or turn negative.
    """
    epsilon = normalisation.batch.config.epsilon
    var = double(normalisation.var)
    exact = var + epsilon
    low = exact - var_error
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        upward = np.where(low > 0.0, np.sqrt(exact / np.where(low > 0.0, low, 1.0)) - 1.0, math.inf)
        downward = 1.0 - np.sqrt(exact / (exact + var_error))
    relative = np.maximum(upward, np.where(np.isfinite(downward), downward, 1.0))
    # epsilon and var below the normal range may be flushed: then nothing is promised
    tiny = exact <= 4.0 * precision.smallest
    return np.where(tiny, math.inf, relative + gamma(INV_STD_ROUNDINGS, precision)) * ROOM


def normalised_error(normalisation: Normalisation, mean_error: Array | float, relative: Array, p: Precision) -> Array:
    """Error of zhat = (x - mean) inv_std, for a mean in error and inv_std in relative error, in any of its forms.

    1. the mean's error:                                        inv_std E_mean
    2. x - mean, or x a - mean a of a folded form:              inv_std 3 u (|x| + |mean|)
    3. inv_std's error, and the product:                        |zhat| (relative + 2 u)
    """
    u = p.unit_roundoff
    with np.errstate(invalid="ignore"):
        absolute = normalisation.inv_std64 * (mean_error + 3.0 * u * normalisation.reach + 2.0 * p.smallest)
        error = absolute * (1.0 + relative) + normalisation.abs_z * (relative + 2.0 * u)
    return np.where(np.isnan(error), math.inf, error) * ROOM


def output_error(
    normalisation: Normalisation, gamma_: Array, beta: Array, y: Array, zhat_error: Array, units: Units
) -> Array:
    """Error of y = gamma zhat + beta, stored; gamma_, beta: |gamma|, |beta|, broadcastable; y: |y| exact.

    1. zhat's error and the product with gamma:   |gamma| (E_zhat + 2 u |zhat|)
    2. beta, folded or added:                     3 u |beta| + u |y|
    3. storing y:                                 u_storage |y|
    4. underflow of any product:                  4 smallest (1 + |gamma|) (1 + inv_std)
    """
    u = units.arithmetic.unit_roundoff
    product = _times(gamma_, zhat_error + 2.0 * u * normalisation.abs_z)
    underflow = 4.0 * units.arithmetic.smallest * (1.0 + gamma_) * (1.0 + normalisation.inv_std64)
    error = product + 3.0 * u * beta + (u + units.storage.unit_roundoff) * y + underflow + 2.0 * units.storage.smallest
    return _stored(error, y, units.storage)


def running_error(old: Array, batch: Array, batch_error: Array, decay: float, units: Units) -> Array:
    """Error of decay old + (1 - decay) batch, in any of its forms (old + (1 - decay)(batch - old), say), stored.

        1. the batch statistic's error and its correction:   (1 - decay) (E + 4 u |batch|)
        2. decay and 1 - decay as stored, products, sum:      5 u (|old| + |batch|), u the coarser of statistics and parameter

    old, batch: magnitudes. Known limitation: none of the sharper laws at decay 0 and 1; they are clauses of their own.
    """
    u = max(units.statistics.unit_roundoff, units.parameter.unit_roundoff)
    own = _times(np.full_like(batch, 1.0 - decay), batch_error + 4.0 * units.statistics.unit_roundoff * batch)
    error = own + 5.0 * u * (old + batch) + 4.0 * units.parameter.smallest
    return _stored(error, old + batch, units.parameter)


class GradientError(NamedTuple):
    """Bounds on the errors of dx (shaped like x), dgamma and dbeta (shape (1, C, 1, ...))."""

    dx: Array
    dgamma: Array
    dbeta: Array


def training_gradient_error(
    cotangent: Cotangent, gamma_: Array, dx: Array, zhat_error: Array, relative: Array, units: Units, tier: Tier
) -> GradientError:
    """Errors of dx = gamma inv_std (dy - A - zhat B), dgamma = m B, dbeta = m A with A = mean dy, B = mean dy zhat.

        1. A, summed:                                          E_A = gamma_{n+2} mean |dy|
        2. B, from zhat in error, in any form (sum dy x - mean sum dy of a folded graph included):
                                                               E_B = mean |dy| E_zhat + gamma_{n+6} inv_std mean |dy| (|x| + |mean|)
        3. the bracket: A, B, zhat in error, its own roundings:
                      E = E_A + |zhat| E_B + (|B| + E_B) E_zhat + 6 u (|dy| + |A| + |B| inv_std (|x| + |mean|))
        4. the factor:            E_dx = |gamma| inv_std (1 + relative) E + |dx| (relative + 4 u) + u_storage |dx|
        5. inv_std^3, which differentiated graphs form, underflows:   smallest |gamma| |x - mean| mean |dy| |x - mean|

    gamma_, dx: magnitudes, exact.
    """
    s, a, n = units.statistics, units.arithmetic, growth(cotangent.normalisation.batch.count, tier)
    norm, m = cotangent.normalisation, cotangent.normalisation.batch.count
    mean_dy, mean_dyz = np.abs(double(cotangent.mean_dy)), np.abs(double(cotangent.mean_dy_zhat))
    error_a = gamma(n + 2.0, s) * cotangent.mean_abs + s.smallest
    with np.errstate(invalid="ignore", over="ignore"):
        summed = gamma(n + 6.0, s) * norm.inv_std64 * cotangent.mean_reach
        error_b = cotangent.mean_of(zhat_error) + summed + s.smallest * (1.0 + norm.inv_std64)
        own = 6.0 * a.unit_roundoff * (cotangent.abs_dy + mean_dy + mean_dyz * norm.inv_std64 * norm.reach)
        bracket = error_a + norm.abs_z * error_b + (mean_dyz + error_b) * zhat_error + own
        factor = gamma_ * norm.inv_std64
        error = _times(factor * (1.0 + relative), bracket) + _times(dx, relative + 4.0 * a.unit_roundoff)
    deviation = norm.abs_z / norm.inv_std64
    error += a.smallest * gamma_ * deviation * cotangent.mean_of(deviation)
    error += units.storage.unit_roundoff * dx + 4.0 * a.smallest * (1.0 + factor) + 2.0 * units.storage.smallest
    dgamma = m * error_b + 2.0 * units.parameter.unit_roundoff * m * mean_dyz
    dbeta = m * error_a + 2.0 * units.parameter.unit_roundoff * m * mean_dy
    return GradientError(
        _stored(error, dx, units.storage),
        _stored(dgamma, m * mean_dyz, units.parameter),
        _stored(dbeta, m * mean_dy, units.parameter),
    )


def inference_gradient_error(
    cotangent: Cotangent, dx: Array, relative: Array, units: Units, tier: Tier
) -> GradientError:
    """Errors of dx = gamma inv_std dy, dgamma = sum dy zhat, dbeta = sum dy with the running statistics as exact constants.

    1. dx: inv_std and two products:     |dx| (relative + 4 u) + u_storage |dx|
    2. dgamma: summed in any form:       gamma_{n+6} inv_std sum |dy| (|x| + |mean|) + relative sum |dy zhat|
    3. dbeta: summed:                    gamma_{n+2} sum |dy|
    """
    s, a, n = units.statistics, units.arithmetic, growth(cotangent.normalisation.batch.count, tier)
    norm, m = cotangent.normalisation, cotangent.normalisation.batch.count
    error = _times(dx, relative + 4.0 * a.unit_roundoff + units.storage.unit_roundoff)
    error = error + 4.0 * a.smallest * (1.0 + norm.inv_std64) + 2.0 * units.storage.smallest
    with np.errstate(invalid="ignore"):
        summed = gamma(n + 6.0, s) * norm.inv_std64 * cotangent.mean_reach
        dgamma = m * (summed + _times(cotangent.mean_of(norm.abs_z), relative) + s.smallest * (1.0 + norm.inv_std64))
    exact_dgamma, exact_dbeta = m * np.abs(double(cotangent.mean_dy_zhat)), m * np.abs(double(cotangent.mean_dy))
    dbeta = m * (gamma(n + 2.0, s) * cotangent.mean_abs + s.smallest)
    return GradientError(
        _stored(error, dx, units.storage),
        _stored(dgamma + 2.0 * units.parameter.unit_roundoff * exact_dgamma, exact_dgamma, units.parameter),
        _stored(dbeta + 2.0 * units.parameter.unit_roundoff * exact_dbeta, exact_dbeta, units.parameter),
    )


def fitted_error(batch: Batch, units: Units, tier: Tier) -> StatisticsError:
    """Errors of a fitted mean and variance of input normalization, over any chunking; stored in the statistics' precision.

    The sources are those of ``statistics_error`` (merging is source 3), and storing: u (|mean|), u var.
    """
    error, u = statistics_error(batch, units, tier), units.statistics.unit_roundoff
    return StatisticsError(error.mean + u * batch.abs_mean, error.var + 2.0 * u * batch.var64)


def transform_error(sizes: tuple[Array, ...], units: Units) -> Array:
    """Error of y = (x - mean) / scale for given statistics: 3 u (|x| + |mean|) / scale + (6 u + u_storage) |y|.

    sizes: |x|, |mean|, scale and |y|.
    """
    x, mean, scale, y = sizes
    u = units.arithmetic.unit_roundoff
    error = 3.0 * u * (x + mean) / scale + (6.0 * u + units.storage.unit_roundoff) * y
    return _stored(error + 4.0 * units.storage.smallest * (1.0 + 1.0 / scale), y, units.storage)


def inverse_error(sizes: tuple[Array, ...], units: Units) -> Array:
    """Error of x = y scale + mean for given statistics: 6 u |y| scale + u |mean| + (u + u_storage) |x|.

    sizes: |y|, |mean|, scale and |x|.
    """
    y, mean, scale, x = sizes
    u = units.arithmetic.unit_roundoff
    error = 6.0 * u * y * scale + u * mean + (u + units.storage.unit_roundoff) * x
    return _stored(error + 4.0 * units.storage.smallest * (1.0 + scale), x, units.storage)


def _times(a: Array, b: Array) -> Array:
    """a * b with 0 * inf = 0: a factor that is exactly zero removes an unbounded error."""
    with np.errstate(invalid="ignore", over="ignore"):
        product = a * b
    return np.where((a == 0.0) & np.isinf(b), 0.0, product)


def _stored(error: Array, magnitude: Array, storage: Precision) -> Array:
    """The bound with room for its own evaluation; infinite where the result may overflow its storage."""
    with np.errstate(invalid="ignore", over="ignore"):
        overflows = magnitude + error > storage.largest
    return np.where(np.isnan(error) | overflows, math.inf, error * ROOM)
