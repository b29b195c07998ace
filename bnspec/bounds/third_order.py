"""A-priori bounds for third derivatives, element by element: see ``bounds.batch_norm`` for the notation and the tiers.

The result is a polynomial in dy, v, zhat and s = inv_std, see ``equations.third_order``. M(s, z) is its majorant: the same
polynomial with magnitudes for all of them, |v| + mean |v| for w, |dy| + mean |dy| for what the means of dy subtract, and every sign
positive; N = M + mean M + z mean (z M) holds what the backward pass of a mean or of a variance adds at each level of differentiation.

    1. zhat in error by E, s by r:     N(s (1 + r), |zhat| + E) - N(s, |zhat|)
       with E that of zhat and of any folded form, gamma_{n+8} s (|x| + |mean|)
    2. sums and products of any graph, 4 sums deep and 48 products long:     gamma_{4 n + 64} N(s (1 + r), |zhat| + E)

Known limitations: coarse, since magnitudes of differences are replaced by sums of magnitudes: a defect shows where it is of the
size of the result. Infinite where s^7, which differentiated graphs form, leaves the range.
"""

from __future__ import annotations

import numpy as np

from bnspec.bounds import batch_norm as bounds
from bnspec.bounds.batch_norm import Array
from bnspec.exact.quantities import Cotangent
from bnspec.model.precision import Units
from bnspec.model.vocabulary import Tier


def training_error(
    dy: Cotangent,
    v: Cotangent,
    gamma: Array,
    size: Array,
    errors: tuple[Array, Array],
    units: Units,
    tier: Tier,
) -> Array:
    """The bound of the third derivative, shaped like x. ``errors``: of inv_std, relative, and of zhat; gamma, size: magnitudes."""
    norm, (relative, zhat_error) = dy.normalisation, errors
    n = bounds.growth(norm.batch.count, tier)
    coarser = max(units.statistics, units.arithmetic, key=lambda p: p.unit_roundoff)
    with np.errstate(invalid="ignore", over="ignore"):
        folded = bounds.gamma(n + 8.0, coarser) * norm.inv_std64 * norm.reach
        z, s = norm.abs_z + zhat_error + folded, norm.inv_std64 * (1.0 + relative)
        exact, wide = (_majorant(dy, v, gamma, *given) for given in ((norm.inv_std64, norm.abs_z), (s, z)))
        error = (wide - exact) + bounds.gamma(4.0 * n + 64.0, coarser) * wide
        error += 64.0 * coarser.smallest * (1.0 + gamma) * (1.0 + s) ** 7 * (1.0 + wide)
        steps = np.maximum(norm.batch.count * wide, s**7)
        return bounds.stored(error, size, units.arithmetic, units.storage, steps)


def _majorant(dy: Cotangent, v: Cotangent, gamma: Array, s: Array, z: Array) -> Array:
    """N of the module's docstring."""
    norm, axes = dy.normalisation, dy.axes
    count = norm.batch.count
    share = norm.factor / count

    def total(values: Array) -> Array:
        return np.sum(values, axis=axes, keepdims=True)

    w, g = v.abs_dy + v.mean_abs, dy.abs_dy + dy.mean_abs
    a, b, p, r = total(g * z), s * total(g * w), s * share * total(w * z), s * s * share * total(w * w)
    by_a = s * (g + z * share * total(g * z))
    by_p = s * (s * w + 2.0 * z * p) * share
    of_root = s * z * share
    m = by_a * (3.0 * p * p + r) + a * (6.0 * p * by_p + 2.0 * of_root * r) + 2.0 * p * of_root * b + 2.0 * b * by_p
    m = gamma * m
    return m + total(m) / count + z * share * total(z * m)
