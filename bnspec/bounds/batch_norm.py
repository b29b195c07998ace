"""A-priori rounding-error bounds, element by element.

Bounded quantity: the difference between a correct implementation's result in the declared precisions and the exact value for
the same inputs. Notation: u unit roundoff, m elements per channel, gamma_n = n u / (1 - n u) the accumulated relative error of n
roundings in any order (Higham 2002, "Accuracy and Stability of Numerical Algorithms", 3.1), kappa = |mean| / std.

Tiers:

    lenient      any textbook formula, E[x^2] - E[x]^2 included, in x's own precision: variance errors grow with kappa^2.
                 Used by a MUST, so only wrong semantics violate it.
    permissive   any summation order of a stable algorithm (two-pass, Welford, merged, shifted by a sample) in the declared
                 precision: linear growth in m and in kappa. Used by a SHOULD on accuracy.
    good         sums whose longest chain of additions is LEAF + log2(m / LEAF): pairwise, blocks of LEAF added in a tree, Chan's
                 merge in a balanced tree, compensated sums, wider accumulators; two-pass or merged. Measured, never required.
                 Welford's update, long lanes and shifts are permissive: their chains are as long as the data.

All three are worst cases: no order and no rounding exceeds them. All functions return float64 arrays of bounds.

Accepted outcomes at the edges of the range (``comparison.ratios_of`` judges by them):

    underflow   inputs and intermediate values below the smallest normal number may be flushed to zero: every bound covers
                this, in units of ``smallest``. Half-precision inputs computed in float32 are not flushed.
    overflow    where a value within the bound leaves the range of the result's dtype, an infinity of its sign conforms
                as well as a finite value within the bound. Where a step of an admitted algorithm may leave the
                range of its precision (squares, sums, x gamma inv_std of the folded form, inv_std^3 of differentiated
                graphs), the bound is infinite: any result conforms, including NaN.
    NaN         never conforms where the bound is finite, and neither does an infinity of the wrong sign.

Common limitations: bounds are infinite from gamma_n with n u >= 1 on (65,536 values summed one by one in bfloat16, say), nor
where var + epsilon is not well above the smallest normal number. Square roots and divisions are taken as correctly rounded
or as reciprocal roots accurate to 2 units in the last place, where the device does not state another error.
"""

from __future__ import annotations

import math
from typing import NamedTuple, overload

import numpy as np

from bnspec.arithmetic.quad import double
from bnspec.exact.quantities import Batch, Cotangent, Normalisation
from bnspec.model.precision import Precision, Units
from bnspec.model.vocabulary import Tier

Array = np.ndarray

#: Relative room for evaluating the bounds themselves in float64.
ROOM = 1.0 + 2.0**-30
#: Number of values that the good tier allows to be added sequentially before a tree.
LEAF = 32


class StatisticsError(NamedTuple):
    """Bounds on the errors of the batch statistics, shape (1, C, 1, ...): of the mean, and of the population variance."""

    mean: Array
    var: Array


def growth(terms: int, tier: Tier) -> float:
    """The largest number of roundings that any of these terms undergoes while they are added."""
    additions = float(max(terms - 1, 0))
    if tier == "good":
        return min(additions, LEAF - 1.0 + _levels(math.ceil(terms / LEAF)))
    return additions


@overload
def gamma(roundings: float, precision: Precision) -> float: ...
@overload
def gamma(roundings: Array, precision: Precision) -> Array: ...
def gamma(roundings: Array | float, precision: Precision) -> Array | float:
    """gamma_n = n u / (1 - n u); infinite from n u = 1 on."""
    product = roundings * precision.unit_roundoff
    if isinstance(product, float):
        return product / (1.0 - product) if product < 1.0 else math.inf
    return np.where(product < 1.0, product / np.where(product < 1.0, 1.0 - product, 1.0), math.inf)


def mean_roundings(count: Array | float, tier: Tier, steps: float = 1.0) -> Array:
    """r with |error of a mean of count values| <= gamma_r mean |x|, in any of the tier's algorithms.

    1. a sum divided, or multiplied by 1/m:                       m + 1
    2. Welford, by division or by a table of 1/k; any merges into the larger part (H the harmonic number):
       k e_k = (k-1) e_{k-1} + 3 u |x_k - mean_{k-1}| + k u |mean_k|      =>   m - 1 + 3 H_{m-1}
    3. ``steps`` roundings for each value but the first, as (k mean + x) / (k + 1) needs:   steps (m - 1)
    4. good: a sum, or a balanced tree of merges, 4 roundings each:   growth + 2 + 3 log2 m
    """
    m = np.maximum(count, 1.0)
    worst = np.maximum(np.maximum(m + 1.0, m - 1.0 + 3.0 * _harmonic(m - 1.0)), steps * (m - 1.0))
    if tier == "good":
        worst = np.minimum(worst, growth(int(np.max(m)), tier) + 2.0 + 3.0 * _levels(int(np.max(m))))
    return np.where(m == 1.0, 1.0, worst)


def statistics_error(batch: Batch, units: Units, tier: Tier, steps: float = 1.0) -> StatisticsError:
    """Errors of the batch mean and of the population variance.

    Error sources, D = max |x - mean|, n = growth(m), r = mean_roundings(m):

        1. the mean, summed, updated or merged:                 E_mean = gamma_r mean |x|
        2. the mean, shifted by a sample (mean |x - x_0| <= D): E_mean = gamma_{n+2} D + 2 u |mean|
        3. deviations from means in error, of all values (two-pass: e^2 alone), of the first k (Welford: sum d_k^2 <= 2 m var)
           or of parts (merges: sum over any tree of w (e_a + e_b)^2 <= m e^2, w = m_a m_b / (m_a + m_b)):
                      E_var = (1 + gamma_{n+9}) (2 e std + e^2) + gamma_{n+9} var
           e = max(sqrt 2 times the mean's error over any k values, c gamma_m mean |x|), c = 1 + steps but at most 3: a part
           of k values with sum S_k of magnitudes has a mean in error by gamma_{r(k)} S_k / k, S_k <= min(k max |x|, S_m)
        4. shifted by a sample and clipped at 0:                gamma_{n+5} (var + D^2) + gamma_{2n+6} D^2
           each of several chunks by its own (steps > 1, m > 2): D' = max(1, 2 (m-2) / (m-1)) D in the place of D, and then
           2 and 4 add to 1 and 3 where otherwise the larger counts, and E_mean of 2 to e
        5. lenient only, E[x^2] - E[x]^2:                       gamma_{n+5} E[x^2] + gamma_{2n+6} E[x^2]
        6. good, merges in a balanced tree of L levels:         as 3 with e = sqrt(L+1) gamma_r rms x; each level adds 2 to n

    The mean's bound is the largest of 1 and 2, the variance's of 3 and 4, in the lenient tier also 5; in the good tier 1 and
    the smaller of 3 and 6. ``steps``: see ``mean_roundings``.

    Known limitations: a shift by anything but a sample of the channel (the running mean, say) is covered by 5 only. Source 3
    is a worst case over trees and orders; the two-pass algorithm stays far below it where kappa is large.
    """
    u, m = units.statistics, batch.count
    n = growth(m, tier)
    largest = np.max(batch.abs_x, axis=batch.config.reduce_axes, keepdims=True)
    std, total = np.sqrt(batch.var64), m * batch.mean_abs
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        mean = gamma(mean_roundings(m, tier, steps), u) * batch.mean_abs
        k = np.clip(np.ceil(np.where(largest > 0.0, total / largest, m)), 1.0, m)
        fewer = np.where(k > 2.0, gamma(mean_roundings(k - 1.0, "permissive", steps), u) * largest, 0.0)
        partial = np.maximum(fewer, gamma(mean_roundings(k, "permissive", steps), u) * total / k)
        deviation = np.maximum(math.sqrt(2.0) * partial, min(1.0 + steps, 3.0) * gamma(m, u) * batch.mean_abs)
        if tier == "good":
            tree = math.sqrt(_levels(m) + 1.0) * gamma(mean_roundings(m, tier, steps), u) * np.sqrt(batch.mean_square)
            deviation = np.minimum(deviation, tree)
            n = min(float(max(m - 1, 0)), n + _levels(m))
        chunked = steps > 1.0 and m > 2
        far = max(1.0, 2.0 * (m - 2) / (m - 1)) if chunked else 1.0
        if chunked and tier != "good":
            deviation = deviation + gamma(n + 2.0, u) * far * batch.spread
        moved = 2.0 * deviation * std + deviation * deviation
        var = gamma(n + 9.0, u) * (batch.var64 + moved) + moved
        if tier != "good":
            shifted = gamma(n + 2.0, u) * far * batch.spread + 2.0 * u.unit_roundoff * batch.abs_mean
            spread = np.square(far * batch.spread)
            squares = gamma(n + 5.0, u) * (batch.var64 + spread) + gamma(2.0 * n + 6.0, u) * spread
            mean, var = (
                (mean + shifted, var + squares) if chunked else (np.maximum(mean, shifted), np.maximum(var, squares))
            )
        if tier == "lenient":
            var = np.maximum(var, (gamma(n + 5.0, u) + gamma(2.0 * n + 6.0, u)) * batch.mean_square)
        mean = _promised(mean, 4.0 * m * np.maximum(batch.mean_abs, batch.spread), u)
        var = _promised(var + 8.0 * u.smallest, 4.0 * m * np.maximum(batch.mean_square, batch.mean_abs), u)
    return StatisticsError((mean + 2.0 * u.smallest) * ROOM, var * ROOM)


def corrected_error(error: Array, size: Array, normalisation: Normalisation, precision: Precision) -> Array:
    """Error of size m / (m - correction) for a mean of magnitude ``size`` in error:  m / (m - correction) (E + gamma_2 (size + E)).

    The quotient and the product round; divided by m - correction at once, the sum rounds as a mean does. The variance that
    normalises, and the mean of dy zhat in dx, are such means; with correction 0 nothing changes.
    """
    if not normalisation.correction:
        return error
    return normalisation.factor * (error + gamma(2.0, precision) * (size + error))


def inv_std_error(
    normalisation: Normalisation, var_error: Array | float, precision: Precision, least_var: float = -math.inf
) -> Array:
    """Relative error of 1/sqrt(var + epsilon) for a variance known to within ``var_error``: evaluated, not linearised.

        1. the variance's error, and var or epsilon flushed:  sqrt((var + epsilon) / (var + epsilon -+ E_var)) - 1
        2. epsilon, sum, root and reciprocal:                 gamma_r, r = root_roundings of the precision, 6 where IEEE 754 holds

    Infinite where the variance in error could make var + epsilon vanish or turn negative. ``least_var`` is a lower
    limit of the variance in error: 0 for sums of squares and clipped differences.
    """
    epsilon = normalisation.batch.config.epsilon
    exact = double(normalisation.var) + epsilon
    wide = var_error + 2.0 * precision.smallest
    low = np.maximum(exact - wide, least_var + epsilon)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        positive = low > 2.0 * precision.smallest
        upward = np.where(positive, np.sqrt(exact / np.where(positive, low, 1.0)) - 1.0, math.inf)
        downward = 1.0 - np.sqrt(exact / (exact + wide))
        relative = np.maximum(upward, np.where(np.isfinite(downward), downward, 1.0))
        own = gamma(precision.root_roundings, precision)
        tiny = exact <= 4.0 * precision.smallest
        return np.where(tiny, math.inf, relative * (1.0 + own) + own) * ROOM


def normalised_error(normalisation: Normalisation, mean_error: Array | float, relative: Array, p: Precision) -> Array:
    """Error of zhat = (x - mean) inv_std, for a mean in error and inv_std in relative error, in any of its forms.

    1. the mean's error:                                        inv_std (1 + relative) E_mean
    2. x - mean, or x a - mean a of a folded form:              inv_std (1 + relative) gamma_3 (|x| + |mean| + E_mean)
    3. inv_std's error, and the product:                        |zhat| (relative + gamma_2 (1 + relative))
    """
    with np.errstate(invalid="ignore", over="ignore"):
        own = gamma(3.0, p) * (normalisation.reach + mean_error) + 2.0 * p.smallest
        absolute = normalisation.inv_std64 * (1.0 + relative) * (mean_error + own)
        error = absolute + normalisation.abs_z * (relative + gamma(2.0, p) * (1.0 + relative))
    return np.where(np.isnan(error), math.inf, error) * ROOM


def output_error(
    normalisation: Normalisation, gamma_: Array, beta: Array, y: Array, zhat_error: Array, units: Units
) -> Array:
    """Error of y = gamma zhat + beta, stored; gamma_, beta: |gamma|, |beta|, broadcastable; y: |y| exact.

    1. zhat's error and the product with gamma:   |gamma| (E_zhat + u (|zhat| + E_zhat))
    2. beta, folded and added:                    gamma_2 |beta| + u |y|
    3. storing y, where storage is coarser:       u_storage |y|
    4. underflow of a step:                       4 smallest (1 + |gamma| (1 + inv_std)), and of gamma inv_std: all of it
    """
    a, u = units.arithmetic, units.arithmetic.unit_roundoff
    factor = gamma_ * normalisation.inv_std64
    with np.errstate(invalid="ignore", over="ignore"):
        error = gamma_ * (zhat_error + u * (normalisation.abs_z + zhat_error)) + gamma(2.0, a) * beta
        flushed = 4.0 * a.smallest * (1.0 + gamma_ + factor) + _lost(factor, a) * normalisation.reach
        error = (error + u * y) * (1.0 + u) + flushed
        steps = 2.0 * np.maximum(factor, normalisation.inv_std64) * normalisation.reach
        return stored(error, y, a, units.storage, steps)


def running_error(old: Array, batch: Array, batch_error: Array, decay: float, units: Units) -> Array:
    """Error of decay old + (1 - decay) batch, in any of its forms (old + (1 - decay)(batch - old), say), stored.

        1. the batch statistic's error and its correction m / (m - 1):   (1 - decay) (E + gamma_2 (|batch| + E))
        2. decay or 1 - decay as stored, unless exact:                    u (|old| + |batch|)
        3. difference and product:                                        gamma_2 max(decay, 1 - decay) (|old| + |batch|)
        4. the sum, and storing:                                          u (decay |old| + (1 - decay) |batch|)

    old, batch: magnitudes; u is the coarser of statistics and parameter. Known limitation: at decay 0 the old value still
    contributes, since batch = old + (batch - old) rounds it.
    """
    coarser = max(units.statistics, units.parameter, key=lambda p: p.unit_roundoff)
    u, heaviest = coarser.unit_roundoff, max(decay, 1.0 - decay)
    weight = 0.0 if decay in (0.0, 0.5, 1.0) else u
    with np.errstate(invalid="ignore", over="ignore"):
        moved = batch + batch_error
        own = (1.0 - decay) * (batch_error + gamma(2.0, units.statistics) * moved)
        error = own + (weight + gamma(2.0, coarser) * heaviest) * (old + moved) * (1.0 + u)
        error = error + u * (decay * old + (1.0 - decay) * moved + error) + 4.0 * coarser.smallest
        return stored(error, old + batch, coarser, units.parameter, old + batch + own)


def debiased_error(average: Array, decay: float, precision: Precision) -> Array:
    """Error of a debiased average after its first step beyond that of the batch: (1 - decay) batch / (1 - decay^1).

    1 - decay rounded in either way, the product and the quotient are 4 roundings; decay as stored is off by u decay, which is
    u decay / (1 - decay) of 1 - decay, and may enter either of them.
    """
    return gamma(4.0 + 2.0 * decay / (1.0 - decay), precision) * np.abs(average)


class GradientError(NamedTuple):
    """Bounds on the errors of dx (shaped like x), dgamma and dbeta (shape (1, C, 1, ...))."""

    dx: Array
    dgamma: Array
    dbeta: Array


def training_gradient_error(
    cotangent: Cotangent, gamma_: Array, dx: Array, zhat_error: Array, relative: Array, units: Units, tier: Tier
) -> GradientError:
    """Errors of dx = gamma inv_std (dy - A - zhat B), dgamma = m B, dbeta = m A with A = mean dy, B = mean dy zhat.

    With a correction, B in dx and in 3 to 6 is corrected (``corrected_error``).

        1. A, summed, divided or multiplied by 1/m:            E_A = gamma_{n+2} mean |dy|
        2. B, from zhat in error, in any form (sum dy x - mean sum dy of a folded graph included):
                                                               E_B = mean |dy| E_zhat + gamma_{n+3} inv_std mean |dy| (|x| + |mean|)
           (products with inv_std and 1/m find their room in E_zhat)
        3. the bracket: A, B, zhat in error, its own roundings in any form (dy a + x b + c included):
                      E = E_A + |zhat| E_B + (|B| + E_B) E_zhat + gamma_4 (|dy| + |A| + |B| inv_std (|x| + |mean|))
        4. the mean's part in the variance, 0 but for rounding, which differentiated graphs add:
                      E += gamma_{n+4} (|B| + E_B) (1 + E_zhat)
        5. the factor:            E_dx = |gamma| inv_std (1 + relative) E + |dx| (relative + gamma_4 (1 + relative))
        6. inv_std^3, which differentiated graphs form, underflows:   smallest |gamma| |x - mean| mean |dy| |x - mean|
        7. storing, where storage is coarser, and underflow of a step

    gamma_, dx: magnitudes, exact. Known limitation: where kappa is large, 2 is that of the folded graph alone; other forms
    stay far below it.
    """
    s, a, n = units.statistics, units.arithmetic, growth(cotangent.normalisation.batch.count, tier)
    norm, m = cotangent.normalisation, cotangent.normalisation.batch.count
    mean_dyz = cotangent.abs_dy_zhat
    error_a, uncorrected = _sum_errors(cotangent, zhat_error, s, n)
    with np.errstate(invalid="ignore", over="ignore"):
        error_b = corrected_error(uncorrected, np.abs(double(cotangent.mean_dy_zhat)), norm, s)
        own = gamma(4.0, a) * (
            cotangent.abs_dy + np.abs(double(cotangent.mean_dy)) + mean_dyz * norm.inv_std64 * norm.reach
        )
        moved = (mean_dyz + error_b) * (zhat_error + gamma(n + 4.0, s) * (1.0 + zhat_error))
        bracket = (error_a + norm.abs_z * error_b + moved + own) * (1.0 + gamma(4.0, a))
        factor = gamma_ * norm.inv_std64
        error = factor * (1.0 + relative) * bracket + dx * (relative + gamma(4.0, a) * (1.0 + relative))
        deviation = norm.abs_z / norm.inv_std64
        error += a.smallest * gamma_ * deviation * (1.0 + norm.factor * cotangent.mean_of(deviation))
        error += 4.0 * a.smallest * (1.0 + factor) + _lost(factor, a) * (cotangent.abs_dy + cotangent.mean_abs)
        steps = np.maximum(m * np.maximum(cotangent.abs_dy, cotangent.mean_abs), _steps(cotangent))
        # inv_std times the bracket before gamma scales it, in any order
        before = norm.inv_std64 * (cotangent.abs_dy + cotangent.mean_abs + norm.abs_z * mean_dyz)
        steps = np.maximum(steps, np.maximum(before, factor))
        error = stored(error, dx, a, units.storage, np.maximum(steps, norm.inv_std64**3))
    return GradientError(error, *_parameter_errors(cotangent, error_a, uncorrected, units))


def inference_gradient_error(
    cotangent: Cotangent, dx: Array, relative: Array, units: Units, tier: Tier
) -> GradientError:
    """Errors of dx = gamma inv_std dy, dgamma = sum dy zhat, dbeta = sum dy with the running statistics as exact constants.

    1. dx: inv_std and two products:     |dx| (relative + gamma_2 (1 + relative)), and storing
    2. dgamma: summed in any form:       sum |dy| E_zhat + gamma_{n+3} inv_std sum |dy| (|x| + |mean|)
    3. dbeta: summed:                    gamma_{n+2} sum |dy|
    """
    a, norm, n = units.arithmetic, cotangent.normalisation, growth(cotangent.normalisation.batch.count, tier)
    zhat_error = normalised_error(norm, 0.0, relative, a)
    error_a, error_b = _sum_errors(cotangent, zhat_error, units.statistics, n)
    with np.errstate(invalid="ignore", over="ignore"):
        error = dx * (relative + gamma(2.0, a) * (1.0 + relative)) + 4.0 * a.smallest * (1.0 + norm.inv_std64)
        factor = np.where(cotangent.abs_dy > 0.0, dx / np.where(cotangent.abs_dy > 0.0, cotangent.abs_dy, 1.0), 0.0)
        before = np.maximum(norm.inv_std64 * cotangent.abs_dy, factor)  # before gamma scales it, in any order
        error = stored(error + _lost(factor, a) * cotangent.abs_dy, dx, a, units.storage, before)
    return GradientError(error, *_parameter_errors(cotangent, error_a, error_b, units))


def fitted_error(batch: Batch, units: Units, tier: Tier) -> StatisticsError:
    """Errors of a fitted mean and variance of input normalization, over any chunking; stored in the statistics' precision.

    The sources are those of ``statistics_error``, with 3 roundings for each chunk that is averaged in by its weight,
    (count mean + sum of the chunk) / (count + size), and as many chunks as there may be values.
    """
    return statistics_error(batch, units, tier, steps=3.0)


def transform_error(sizes: tuple[Array, ...], units: Units) -> Array:
    """Error of y = (x - mean) / scale for given statistics; sizes: |x|, |mean|, scale and |y|.

    1. x - mean, or a folded form:                  gamma_3 (|x| + |mean|) / scale
    2. the root, quotient or reciprocal, product:   gamma_{r+2} |y|, r = root_roundings, and storing
    """
    x, mean, scale, y = sizes
    a = units.arithmetic
    with np.errstate(over="ignore", invalid="ignore"):
        reach = (x + mean) / scale
        root = a.root_roundings
        error = (gamma(3.0, a) * reach + gamma(root + 2.0, a) * y) * (1.0 + gamma(root, a))
        return stored(error + 4.0 * a.smallest * (1.0 + 1.0 / scale), y, a, units.storage, 2.0 * reach)


def inverse_error(sizes: tuple[Array, ...], units: Units) -> Array:
    """Error of x = y scale + mean for given statistics; sizes: |y|, |mean|, scale and |x|.

    1. the root and the product:   gamma_6 |y| scale
    2. the mean, folded or added:  u |mean| + u |x|, and storing
    """
    y, mean, scale, x = sizes
    a, u = units.arithmetic, units.arithmetic.unit_roundoff
    with np.errstate(over="ignore", invalid="ignore"):
        error = gamma(6.0, a) * y * scale + u * mean + u * x
        return stored(error * (1.0 + u) + 4.0 * a.smallest * (1.0 + scale), x, a, units.storage, y * scale + mean)


def _sum_errors(cotangent: Cotangent, zhat_error: Array, s: Precision, n: float) -> tuple[Array, Array]:
    """E_A and E_B: errors of mean dy and of mean dy zhat, for zhat in error."""
    norm = cotangent.normalisation
    with np.errstate(invalid="ignore", over="ignore"):
        summed = gamma(n + 3.0, s) * norm.inv_std64 * cotangent.mean_reach
        flushed = s.smallest * (1.0 + norm.inv_std64 + np.mean(norm.abs_z, axis=cotangent.axes, keepdims=True))
        error_b = cotangent.mean_of(zhat_error) + summed + flushed
    return gamma(n + 2.0, s) * cotangent.mean_abs + 2.0 * s.smallest, error_b


def _parameter_errors(cotangent: Cotangent, error_a: Array, error_b: Array, units: Units) -> tuple[Array, Array]:
    """Errors of dgamma = m mean(dy zhat) and dbeta = m mean(dy), stored."""
    m, s = cotangent.normalisation.batch.count, units.statistics
    dgamma, dbeta = m * np.abs(double(cotangent.mean_dy_zhat)), m * np.abs(double(cotangent.mean_dy))
    with np.errstate(invalid="ignore", over="ignore"):
        return (
            stored(m * error_b, dgamma, s, units.parameter, _steps(cotangent)),
            stored(m * error_a, dbeta, s, units.parameter, m * cotangent.mean_abs),
        )


def _steps(cotangent: Cotangent) -> Array:
    """The largest intermediate values of dgamma, in any form: x inv_std, and the sums of |dy x| and of |dy zhat|."""
    norm, m = cotangent.normalisation, cotangent.normalisation.batch.count
    reach = 2.0 * norm.inv_std64 * np.max(norm.reach, axis=cotangent.axes, keepdims=True)
    return np.maximum(reach, m * np.maximum(cotangent.mean_reach, cotangent.mean_of(norm.abs_z)))


def _harmonic(k: Array | float) -> Array:
    """At least H_k = 1 + 1/2 + ... + 1/k, and 0 for k < 1."""
    safe = np.maximum(k, 1.0)
    return np.where(np.asarray(k) < 1.0, 0.0, np.log(safe) + np.euler_gamma + 0.5 / safe)


def _levels(parts: int) -> float:
    """Levels of a balanced tree over so many parts."""
    return float(math.ceil(math.log2(max(parts, 1))))


def _lost(factor: Array, p: Precision) -> Array:
    """The part of a factor that may be flushed to zero."""
    return np.where(factor < p.smallest, factor, 0.0)


def _promised(error: Array, steps: Array | float, p: Precision) -> Array:
    """The bound; infinite where it is undefined or an intermediate value of magnitude ``steps`` may leave the range."""
    return np.where(np.isnan(error) | ~(np.asarray(steps) <= p.largest), math.inf, error)


def stored(error: Array, magnitude: Array, formed: Precision, storage: Precision, steps: Array | float) -> Array:
    """The bound of a result formed in one precision and stored in another, widened for its own evaluation.

    Storing rounds where storage is coarser. Infinite where ``steps``, the magnitudes of intermediate values, may leave the
    range of the precision in which they are formed, and where the bound is undefined: 0 times an unbounded error is not 0,
    since the value in error may be NaN.
    """
    error = error * (1.0 + storage.unit_roundoff)
    if storage.unit_roundoff > formed.unit_roundoff:
        error = error + storage.unit_roundoff * magnitude
    error = error + 2.0 * storage.smallest
    return _promised(error * ROOM, steps, formed)
