"""A-priori bounds for second derivatives, element by element: see ``bounds`` for the notation and the tiers.

Coarser than the first-order bounds: sums of magnitudes replace magnitudes of differences, so the bounds are tight only where
nothing cancels. With P c = c - mean(c) - zhat mean(c zhat), and

    |P c| <= |c| + mean |c| + |zhat| |mean(c zhat)|  =: S(c)

and the means of c zhat and of v P dy corrected where the variance is (``bounds.corrected_error``), every error of the first order is taken from ``bounds.training_gradient_error`` with the factor gamma inv_std = 1.

Known limitations: a variance without any correct digit makes them infinite; forms that expand deviations into differences of
x and mean (as ``bounds.lenient`` allows) are covered for the first-order parts only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnspec.arithmetic.quad import double
from bnspec.bounds import batch_norm as bounds
from bnspec.bounds.batch_norm import Array
from bnspec.exact.quantities import Cotangent, Normalisation
from bnspec.model.precision import Precision, Units
from bnspec.model.vocabulary import Tier


class SecondOrderError(NamedTuple):
    """Bounds on the errors of by_x and by_dy, shaped like x, and of by_gamma, shape (1, C, 1, ...)."""

    by_x: Array
    by_dy: Array
    by_gamma: Array


class Sizes(NamedTuple):
    """Magnitudes of the exact results and of gamma, ddgamma and ddbeta (0 for an absent cotangent)."""

    by_x: Array
    by_dy: Array
    by_gamma: Array
    gamma: Array
    ddgamma: Array
    ddbeta: Array


class _Projection(NamedTuple):
    """S(c) and the error of P c; |mean(c zhat)|, corrected, and its error."""

    size: Array
    error: Array
    product: Array
    product_error: Array


def training_error(
    dy: Cotangent, v: Cotangent, sizes: Sizes, relative: Array, zhat_error: Array, units: Units, tier: Tier
) -> SecondOrderError:
    """Errors in training, for inv_std in relative error and zhat in error, with B = mean(dy zhat), C = mean(v zhat):

    1. Q = mean(v P dy) in any form:   E_Q = mean |v| E_Pdy + |C| E_B + (|B| + E_B) E_C + gamma_{n+8} mean |v| S(dy)
    2. T = zhat Q + B P v + C P dy:    E_T = products of the parts in error + 8 u (their sizes)
    3. by_x = -gamma inv_std^2 T:      |gamma| inv_std^2 (1 + r)^2 E_T + |by_x| (2 r + r^2 + 6 u)
    4. by_gamma = m inv_std Q:         m inv_std (1 + r) E_Q + |by_gamma| (r + 4 u)
    5. by_dy = gamma inv_std P v:      that of dx
    6. ddgamma, ddbeta:                by_x and by_dy gain the errors of a dx and of a y; the sums round once more
    """
    norm, u, m = dy.normalisation, units.arithmetic.unit_roundoff, dy.normalisation.batch.count
    growth = bounds.gamma(bounds.growth(m, tier) + 8.0, units.statistics)
    g, h = (_projection(c, zhat_error, relative, units, tier) for c in (dy, v))
    with np.errstate(invalid="ignore", over="ignore"):
        q = v.mean_of(g.size)
        error_q = v.mean_of(g.error) + _product(h.product, h.product_error, g.product, g.product_error) + growth * q
        corrected_q, error_cq = norm.factor * q, bounds.corrected_error(error_q, q, norm, units.statistics)
        error_t = (
            _product(norm.abs_z, zhat_error, corrected_q, error_cq)
            + _product(g.product, g.product_error, h.size, h.error)
            + _product(h.product, h.product_error, g.size, g.error)
            + bounds.gamma(8.0, units.arithmetic) * (norm.abs_z * corrected_q + g.product * h.size + h.product * g.size)
        )
        factor = sizes.gamma * norm.inv_std64**2
        by_x = factor * (1.0 + relative) ** 2 * error_t + sizes.by_x * (relative * (2.0 + relative) + 6.0 * u)
        by_gamma = m * norm.inv_std64 * (1.0 + relative) * error_q + sizes.by_gamma * (relative + 4.0 * u)
    by_x += _first_order(dy, sizes.ddgamma, zhat_error, relative, units, tier)
    by_dy = _first_order(v, sizes.gamma, zhat_error, relative, units, tier)
    by_dy += _affine(norm, sizes, zhat_error, units)
    return _stored(by_x, by_dy, by_gamma, sizes, units, 1.0 + factor)


def inference_error(
    dy: Cotangent, v: Cotangent, sizes: Sizes, relative: Array, units: Units, tier: Tier
) -> SecondOrderError:
    """Errors in inference: by_x = ddgamma inv_std dy and gamma inv_std v are products, by_gamma = inv_std sum v dy is a sum."""
    norm, u, m = dy.normalisation, units.arithmetic.unit_roundoff, dy.normalisation.batch.count
    zhat_error = bounds.normalised_error(norm, 0.0, relative, units.arithmetic)
    growth = bounds.gamma(bounds.growth(m, tier) + 8.0, units.statistics)
    with np.errstate(invalid="ignore", over="ignore"):
        summed = m * norm.inv_std64 * v.mean_of(dy.abs_dy)
        by_gamma = growth * (1.0 + relative) * summed + sizes.by_gamma * (relative + 4.0 * u)
        by_x = sizes.by_x * (relative + 4.0 * u)
        by_dy = sizes.gamma * norm.inv_std64 * v.abs_dy * (relative + 4.0 * u) + _affine(norm, sizes, zhat_error, units)
    return _stored(by_x, by_dy, by_gamma, sizes, units, 1.0 + norm.inv_std64)


def _projection(cotangent: Cotangent, zhat_error: Array, relative: Array, units: Units, tier: Tier) -> _Projection:
    norm, m = cotangent.normalisation, cotangent.normalisation.batch.count
    product = cotangent.abs_dy_zhat
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        size = cotangent.abs_dy + cotangent.mean_abs + norm.abs_z * product
        unit = 1.0 / norm.inv_std64
        error = bounds.training_gradient_error(cotangent, unit, size, zhat_error, relative, units, tier)
        mean = np.abs(double(cotangent.mean_dy_zhat))
        product_error = bounds.corrected_error(error.dgamma / m, mean, norm, units.statistics)
    return _Projection(size, error.dx, product, product_error)


def _first_order(
    cotangent: Cotangent, factor: Array, zhat_error: Array, relative: Array, units: Units, tier: Tier
) -> Array:
    """The error of a dx with this factor in gamma's place; 0 where the factor is."""
    norm = cotangent.normalisation
    size = factor * norm.inv_std64 * (cotangent.abs_dy + cotangent.mean_abs + norm.abs_z * cotangent.abs_dy_zhat)
    error = bounds.training_gradient_error(cotangent, factor, size, zhat_error, relative, units, tier).dx
    return np.where(factor == 0.0, 0.0, error)


def _affine(norm: Normalisation, sizes: Sizes, zhat_error: Array, units: Units) -> Array:
    """The error of ddgamma zhat + ddbeta; 0 where both are."""
    size = sizes.ddgamma * norm.abs_z + sizes.ddbeta
    error = bounds.output_error(norm, sizes.ddgamma, sizes.ddbeta, size, zhat_error, units)
    return np.where((sizes.ddgamma == 0.0) & (sizes.ddbeta == 0.0), 0.0, error)


def _product(a: Array, error_a: Array, b: Array, error_b: Array) -> Array:
    """The error of a product of magnitudes a and b in error: |a| E_b + |b| E_a + E_a E_b."""
    return a * error_b + b * error_a + error_a * error_b


def _stored(by_x: Array, by_dy: Array, by_gamma: Array, sizes: Sizes, units: Units, scale: Array) -> SecondOrderError:
    """The errors with those of sums and storing, and of underflow; infinite where no bound exists."""

    def stored(error: Array, size: Array, precision: Precision) -> Array:
        u = 2.0 * max(units.arithmetic.unit_roundoff, precision.unit_roundoff)
        smallest = 8.0 * scale * units.arithmetic.smallest + 2.0 * precision.smallest
        with np.errstate(invalid="ignore", over="ignore"):
            total = error + u * (size + error) + smallest
            lost = np.isnan(total) | (size + total > precision.largest)
        return np.where(lost, np.inf, total * bounds.ROOM)

    return SecondOrderError(
        stored(by_x, sizes.by_x, units.storage),
        stored(by_dy, sizes.by_dy, units.storage),
        stored(by_gamma, sizes.by_gamma, units.parameter),
    )
