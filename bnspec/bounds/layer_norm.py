"""Rounding-error bounds of layer normalization: those of batch normalization with the axes' roles exchanged.

A sample takes the place of a channel: the quantities are those of a ``Batch`` whose channel axis counts samples and whose other
axes are the features. The difference: gamma and beta belong to features, so gamma stands inside the means of dx, and dgamma and
dbeta are sums over samples. Tiers, accepted outcomes and limitations are those of ``bnspec.bounds.batch_norm``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from bnspec.arithmetic.quad import Quad, double
from bnspec.bounds import batch_norm as bounds
from bnspec.bounds.batch_norm import Array, gamma
from bnspec.equations.batch_norm import projected
from bnspec.exact.quantities import Batch, Cotangent, Normalisation
from bnspec.model.precision import Units
from bnspec.model.vocabulary import Tier


class LayerNormError(NamedTuple):
    """Bounds on the errors of y and dx, shaped like x, and of dgamma and dbeta, of extent 1 along the samples."""

    y: Array
    dx: Array
    dgamma: Array
    dbeta: Array


def layer_norm_error(batch: Batch, dy: Quad, gamma_: Quad, beta: Quad, units: Units, tier: Tier) -> LayerNormError:
    """Errors of layer normalization and of its gradients, each in any of the forms that ``bnspec.bounds.batch_norm`` names.

        1. y:       as in training, with the gamma and beta of each feature
        2. dx = inv_std (g - mean(g) - zhat mean(g zhat)), g = gamma dy: as in training with g as the cotangent and gamma 1;
           forming g adds inv_std (1 + relative) u (|g| + mean |g| + |zhat| mean |g zhat|)
        3. dgamma = sum dy zhat over N samples:   sum |dy| E_zhat + gamma_{n+3} sum |dy| inv_std (|x| + |mean|), n = growth(N)
        4. dbeta = sum dy:                        gamma_{n+2} sum |dy|

    Args:
        batch: its channels are the samples.
        dy: shaped like x; gamma_, beta: broadcastable against x, of extent 1 along the samples.
    """
    norm, a = batch.normalisation(), units.arithmetic
    relative, zhat = zhat_error(norm, units, tier)
    abs_gamma, abs_beta, size = (np.abs(double(v)) for v in (gamma_, beta, gamma_ * norm.zhat + beta))
    y = bounds.output_error(norm, abs_gamma, abs_beta, size, zhat, units)

    cotangent = Cotangent(norm, gamma_ * dy)
    exact = projected(cotangent.dy, norm.zhat, cotangent.mean_dy, cotangent.mean_dy_zhat, norm.inv_std)
    size = np.abs(double(exact))
    dx = bounds.training_gradient_error(cotangent, np.ones(1), size, zhat, relative, units, tier).dx
    with np.errstate(invalid="ignore", over="ignore"):
        formed = cotangent.abs_dy + cotangent.mean_abs + norm.abs_z * cotangent.mean_of(norm.abs_z)
        dx = dx + norm.inv_std64 * (1.0 + relative) * gamma(1.0, a) * formed * bounds.ROOM
    dx = np.where(np.isnan(dx), math.inf, dx)
    return LayerNormError(y, dx, *parameter_errors(norm, dy, zhat, units, tier))


def zhat_error(norm: Normalisation, units: Units, tier: Tier) -> tuple[Array, Array]:
    """(relative error of inv_std, error of zhat) of a batch normalised by its own statistics."""
    statistics = bounds.statistics_error(norm.batch, units, tier)
    least = -math.inf if tier == "lenient" else 0.0
    relative = bounds.inv_std_error(norm, statistics.var, units.arithmetic, least)
    return relative, bounds.normalised_error(norm, statistics.mean, relative, units.arithmetic)


def parameter_errors(norm: Normalisation, dy: Quad, zhat: Array, units: Units, tier: Tier) -> tuple[Array, Array]:
    """Errors of dgamma and dbeta, of extent 1 along the samples; ``zhat``: the error of zhat."""
    axis, s = norm.batch.config.channel_axis, units.statistics
    count = norm.batch.config.channels
    n, size = bounds.growth(count, tier), np.abs(double(dy))

    def total(values: Array) -> Array:
        return np.sum(values, axis=axis, keepdims=True)

    exact = [np.abs(double(np.sum(v, axis=axis, keepdims=True))) for v in (dy * norm.zhat, dy)]
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = size * norm.inv_std64 * norm.reach
        flushed = s.smallest * total(1.0 + norm.inv_std64 + norm.abs_z)
        dgamma = total(size * zhat) + gamma(n + 3.0, s) * total(scaled) + flushed
        dbeta = gamma(n + 2.0, s) * total(size) + 2.0 * count * s.smallest
        return (
            bounds.stored(dgamma, exact[0], s, units.parameter, total(np.maximum(scaled, size * norm.batch.abs_x))),
            bounds.stored(dbeta, exact[1], s, units.parameter, total(size)),
        )
