"""The oracle's exact outputs: evaluated in quad precision, and on balls in channels where quad is not certain.

Each function takes quantities of a case (see ``quantities``), evaluates the equations in quad, bounds the error of that
evaluation (see ``certification``), and recomputes uncertain channels rigorously. Nothing here depends on the backend.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bnspec.arithmetic.balls import Balls, ball, midpoints, refined
from bnspec.arithmetic.quad import Quad, double, quad
from bnspec.equations import batch_norm as eq
from bnspec.equations.input_normalization import input_inverse
from bnspec.exact import certification
from bnspec.exact.certification import Doubt
from bnspec.exact.quantities import Batch, Cotangent, Normalisation
from bnspec.model.layer import LayerConfig

CHANNEL = (0,)  # the reduced axes of a flattened channel


class Output(NamedTuple):
    """An output: its exact value rounded to quad, and its magnitude in float64."""

    value: Quad
    size: np.ndarray


class Gradients(NamedTuple):
    """dx shaped like x; dgamma and dbeta of shape (1, C, 1, ...)."""

    dx: Output
    dgamma: Output
    dbeta: Output


class Affine(NamedTuple):
    """gamma and beta, quad, broadcastable; and their magnitudes in float64."""

    gamma: Quad
    beta: Quad
    abs_gamma: np.ndarray
    abs_beta: np.ndarray


def settled(
    value: Quad,
    doubt: Doubt,
    config: LayerConfig,
    compute: Callable[..., Balls],
    *inputs: np.ndarray,
    where: Quad = None,
) -> Output:
    """The output, with the uncertain channels recomputed on balls.

    Args:
        value: quad, shaped like x or (1, C, 1, ...).
        doubt: bounds on its error.
        compute: the equations for one flattened channel, on balls: one argument per input.
        inputs: doubles, shaped like x or (1, C, 1, ...). Channels with non-finite values are left unchanged.
        where: what must be positive for the output to exist (var + epsilon), (1, C, 1, ...).
    """
    size = np.abs(double(value))
    doubtful = doubt.channels(certification.least_magnitude(size, config.reduce_axes))
    if where is not None:
        doubtful &= np.asarray(where > 0.0, bool).reshape(-1)
    if not doubtful.any():
        return Output(value, size)
    value = value.copy()
    for c in np.flatnonzero(doubtful).tolist():
        rows = [double(_channel(a, config, c)).reshape(-1) for a in inputs]
        if all(np.isfinite(r).all() for r in rows):
            balls = [ball(r) for r in rows]
            target = _channel(value, config, c)
            target[...] = midpoints(refined(functools.partial(compute, *balls))).reshape(target.shape)
    return Output(value, np.abs(double(value)))


def _channel(values: np.ndarray, config: LayerConfig, channel: int) -> np.ndarray:
    """A view of one channel."""
    return np.moveaxis(values, config.channel_axis, 0)[channel : channel + 1]


# --- training ---------------------------------------------------------------------------------------------------------


def training_doubt(norm: Normalisation) -> certification.StatisticsDoubt:
    """Bounds on the quad errors of a batch's own statistics."""
    batch = norm.batch
    return certification.training_doubt(batch.count, batch.summary.mean_roundings, norm.inv_std64, norm.correction)


def training_output(norm: Normalisation, affine: Affine) -> Output:
    """y, normalised by x's own statistics."""
    config = norm.batch.config
    return settled(
        eq.affine(norm.zhat, affine.gamma, affine.beta),
        certification.output_doubt(training_doubt(norm), affine.abs_gamma, affine.abs_beta),
        config,
        lambda x, gamma, beta: eq.training_forward(x, gamma, beta, config.epsilon, CHANNEL, norm.correction),
        *(norm.batch.given, affine.gamma, affine.beta),
        where=norm.var + config.epsilon,
    )


def training_gradients(cotangent: Cotangent, affine: Affine) -> Gradients:
    """dx, dgamma and dbeta in training."""
    norm, batch = cotangent.normalisation, cotangent.normalisation.batch
    config, statistics, positive = batch.config, training_doubt(norm), norm.var + batch.config.epsilon
    largest_z = certification.product(batch.spread, norm.inv_std64)
    doubt = _cotangent_doubt(cotangent, statistics, largest_z)
    factor = certification.product(affine.abs_gamma, norm.inv_std64)
    slope = affine.gamma * norm.inv_std
    dx = eq.projected(cotangent.dy, norm.zhat, cotangent.mean_dy, cotangent.corrected_dy_zhat, slope)
    product = np.maximum(cotangent.abs_dy_zhat, certification.TINY)
    of_dx = certification.corrected_doubt(doubt, norm.factor, product) if norm.correction else doubt

    def dgamma_of(x: Balls, dy: Balls) -> Balls:
        mean, var = eq.batch_statistics(x, CHANNEL, norm.correction)
        return eq.parameter_gradients(eq.normalise(x, mean, var, config.epsilon), dy, CHANNEL)[0]

    return Gradients(
        settled(
            dx,
            certification.dx_doubt(statistics, of_dx, product, largest_z, factor),
            config,
            lambda x, dy, gamma: eq.training_dx(x, dy, gamma, config.epsilon, CHANNEL, norm.correction),
            *(batch.given, cotangent.given, affine.gamma),
            where=positive,
        ),
        _dgamma(cotangent, doubt, dgamma_of, (batch.given, cotangent.given), positive),
        _dbeta(cotangent, doubt),
    )


def running_mean(batch: Batch, old: np.ndarray, decay: float) -> Output:
    """The running mean after one training step from ``old``, shape (1, C, 1, ...), as stored."""
    doubt = certification.running_doubt(np.abs(double(old)), batch.abs_mean, batch.summary.mean_roundings, decay)
    return settled(
        eq.running_mean_update(quad(old), batch.mean, quad(decay)),
        doubt,
        batch.config,
        lambda x, old: eq.running_mean_update(old, eq.batch_statistics(x, CHANNEL)[0], ball(decay)),
        *(batch.given, old),
    )


def running_var(batch: Batch, old: np.ndarray, decay: float, correction: int) -> Output:
    """The running variance after one training step from ``old``, as stored; count must exceed correction."""
    count, factor = batch.count, batch.count / (batch.count - correction)
    error = certification.var_doubt(count, batch.summary.mean_roundings)
    var = batch.var64 * factor
    doubt = certification.running_doubt(
        np.abs(double(old)), var, error.absolute * factor + np.asarray(error.relative) * var, decay
    )
    return settled(
        eq.running_var_update(quad(old), batch.var, count, quad(decay), correction),
        doubt,
        batch.config,
        lambda x, old: eq.running_var_update(old, eq.batch_statistics(x, CHANNEL)[1], count, ball(decay), correction),
        *(batch.given, old),
    )


# --- inference --------------------------------------------------------------------------------------------------------


def inference_output(norm: Normalisation, affine: Affine) -> Output:
    """y for given statistics."""
    config = norm.batch.config
    return settled(
        eq.affine(norm.zhat, affine.gamma, affine.beta),
        certification.output_doubt(certification.GIVEN, affine.abs_gamma, affine.abs_beta),
        config,
        lambda x, gamma, beta, mean, var: eq.inference_forward(x, gamma, beta, mean, var, config.epsilon),
        *(norm.batch.given, affine.gamma, affine.beta, norm.mean, norm.var),
        where=norm.var + config.epsilon,
    )


def inference_gradients(cotangent: Cotangent, affine: Affine) -> Gradients:
    """dx (products only, so always certain), dgamma and dbeta for given statistics."""
    norm, batch = cotangent.normalisation, cotangent.normalisation.batch
    epsilon = batch.config.epsilon
    dx = eq.inference_dx(cotangent.dy, affine.gamma, norm.var, epsilon)
    doubt = _cotangent_doubt(cotangent, certification.GIVEN, np.maximum(norm.largest_z, certification.TINY))

    def dgamma_of(x: Balls, dy: Balls, mean: Balls, var: Balls) -> Balls:
        return eq.parameter_gradients(eq.normalise(x, mean, var, epsilon), dy, CHANNEL)[0]

    inputs = (batch.given, cotangent.given, norm.mean, norm.var)
    return Gradients(
        Output(dx, np.abs(double(dx))),
        _dgamma(cotangent, doubt, dgamma_of, inputs, norm.var + epsilon),
        _dbeta(cotangent, doubt),
    )


# --- input normalization ----------------------------------------------------------------------------------------------


def fitted(batch: Batch) -> tuple[Output, Output]:
    """Mean and variance of a training set, (1, C, 1, ...)."""
    mean, var = (
        settled(
            value,
            doubt,
            batch.config,
            lambda x, which=which: eq.batch_statistics(x, CHANNEL)[which],
            batch.given,
        )
        for which, (value, doubt) in enumerate(
            (
                (batch.mean, Doubt(batch.summary.mean_roundings, 0.0)),
                (batch.var, certification.var_doubt(batch.count, batch.summary.mean_roundings)),
            )
        )
    )
    return mean, var


def inverse(y: np.ndarray, mean: Quad, var: Quad, epsilon: float, config: LayerConfig) -> Output:
    """x = y sqrt(var + epsilon) + mean."""
    return settled(
        input_inverse(quad(y), mean, np.sqrt(var + epsilon)),
        Doubt(6.0 * np.abs(double(mean)), 6.0),
        config,
        lambda y, mean, var: input_inverse(y, mean, np.sqrt(var + epsilon)),
        *(y, mean, var),
        where=var + epsilon,
    )


# --- gradients of the parameters --------------------------------------------------------------------------------------


def _cotangent_doubt(
    cotangent: Cotangent, statistics: certification.StatisticsDoubt, largest_z: np.ndarray
) -> certification.CotangentDoubt:
    count = cotangent.normalisation.batch.count
    return certification.cotangent_doubt(statistics, count, cotangent.mean_roundings, cotangent.mean_abs, largest_z)


def _dgamma(
    cotangent: Cotangent,
    doubt: certification.CotangentDoubt,
    compute: Callable[..., Balls],
    inputs: tuple[np.ndarray, ...],
    where: Quad,
) -> Output:
    batch = cotangent.normalisation.batch
    error = Doubt(batch.count * doubt.mean_dy_zhat, 1.0)
    return settled(batch.count * cotangent.mean_dy_zhat, error, batch.config, compute, *inputs, where=where)


def _dbeta(cotangent: Cotangent, doubt: certification.CotangentDoubt) -> Output:
    batch = cotangent.normalisation.batch
    error = Doubt(batch.count * doubt.mean_dy, 1.0)
    value = batch.count * cotangent.mean_dy
    return settled(value, error, batch.config, lambda dy: np.sum(dy, axis=CHANNEL, keepdims=True), cotangent.given)
