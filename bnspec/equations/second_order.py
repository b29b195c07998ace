"""Second derivatives: the gradients of <v, dx> + <ddgamma, dgamma> + <ddbeta, dbeta>, the backward pass of the backward pass.

dx, dgamma and dbeta are the gradients of batch normalization for the cotangent dy; v, ddgamma and ddbeta are their
cotangents. The same arithmetics and shapes as ``equations``; v is shaped like x. With S(a) = sum(a) / (m - correction), the mean
for correction 0, and P v = v - mean(v) - zhat * S(v * zhat), training has dx = gamma * inv_std * P dy. P is symmetric, so that
the derivative of y along v is gamma * inv_std * P v: forward mode, and the derivative of <v, dx> by dy, are
``equations.training_dx`` with v in the place of dy. zhat moves along v by inv_std * P v, and inv_std by -inv_std^2 * S(v * zhat).

Source: the chain rule on Ioffe and Szegedy 2015, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnspec.equations.batch_norm import (
    Array,
    Axes,
    affine,
    batch_statistics,
    corrected_mean,
    inference_dx,
    inv_std,
    normalise,
    training_dx,
)


class SecondOrder(NamedTuple):
    """The gradients of such an inner product: by x and by dy, shaped like x; by gamma, shape (1, C, 1, ...)."""

    by_x: Array
    by_dy: Array
    by_gamma: Array

    def plus(self, other: SecondOrder) -> SecondOrder:
        """The gradients of the sum of two such inner products."""
        return SecondOrder(*(a + b for a, b in zip(self, other)))


def training_second_order(
    x: Array, dy: Array, v: Array, gamma: Array, epsilon: float, axes: Axes, correction: int = 0
) -> SecondOrder:
    """In training, with Q = S(v * P dy), which is mean(v * dy) - mean(v) mean(dy) - mean(v * zhat) mean(dy * zhat) for correction 0:

    by_x     = -gamma * inv_std^2 * (zhat * Q + S(dy * zhat) * P v + S(v * zhat) * P dy)
    by_dy    =  gamma * inv_std * P v
    by_gamma =  inv_std * sum(v * P dy)
    """
    mean, var = batch_statistics(x, axes, correction)
    scale, zhat = inv_std(var, epsilon), normalise(x, mean, var, epsilon)

    def average(values: Array) -> Array:
        return corrected_mean(values, axes, correction)

    def project(values: Array) -> Array:
        return values - np.mean(values, axis=axes, keepdims=True) - zhat * average(values * zhat)

    q = average(v * project(dy))
    through_inv_std = zhat * q
    through_zhat = average(dy * zhat) * project(v) + average(v * zhat) * project(dy)
    by_gamma = scale * np.sum(v * project(dy), axis=axes, keepdims=True)
    by_x = -gamma * scale * scale * (through_inv_std + through_zhat)
    return SecondOrder(by_x, training_dx(x, v, gamma, epsilon, axes, correction), by_gamma)


def inference_second_order(dy: Array, v: Array, gamma: Array, var: Array, epsilon: float, axes: Axes) -> SecondOrder:
    """In inference dx = gamma * inv_std * dy does not depend on x: by_x = 0,  by_dy = gamma * inv_std * v,

    by_gamma = inv_std * sum(v * dy).
    """
    by_gamma = inv_std(var, epsilon) * np.sum(v * dy, axis=axes, keepdims=True)
    return SecondOrder(0 * dy, inference_dx(v, gamma, var, epsilon), by_gamma)


def training_parameter_second_order(
    x: Array, dy: Array, ddgamma: Array, ddbeta: Array, epsilon: float, axes: Axes, correction: int = 0
) -> SecondOrder:
    """The gradients of <ddgamma, dgamma> + <ddbeta, dbeta> in training, which do not depend on gamma:

    by_x  = ddgamma * inv_std * P dy: dx, with ddgamma in the place of gamma
    by_dy = ddgamma * zhat + ddbeta:  y, with ddgamma and ddbeta in the places of gamma and beta

    ddgamma, ddbeta: shape (1, C, 1, ...).
    """
    zhat = normalise(x, *batch_statistics(x, axes, correction), epsilon)
    by_x = training_dx(x, dy, ddgamma, epsilon, axes, correction)
    return SecondOrder(by_x, affine(zhat, ddgamma, ddbeta), 0 * ddgamma)


def inference_parameter_second_order(
    x: Array, dy: Array, ddgamma: Array, ddbeta: Array, mean: Array, var: Array, epsilon: float
) -> SecondOrder:
    """The same in inference, with given statistics:  by_x = ddgamma * inv_std * dy,  by_dy = ddgamma * zhat + ddbeta."""
    by_dy = affine(normalise(x, mean, var, epsilon), ddgamma, ddbeta)
    return SecondOrder(inference_dx(dy, ddgamma, var, epsilon), by_dy, 0 * ddgamma)
