"""The equations of batch normalization, each written once.

They run unchanged on float32 and float64 arrays (the working precision of the NumPy backend), on quad arrays (the oracle),
on complex arrays (the complex-step derivative that checks the gradients), and on object arrays of balls or of exact numbers:
they use only +, -, *, /, ``np.sqrt``, ``np.sum`` and ``np.mean``. Statistics and parameters broadcast against x: shape
(1, C, 1, ...). Beside it lie ``input_normalization``, ``averages``, ``second_order``, ``masked``, ``sharded``,
``folding`` and ``layer_norm``.

Notation: x, y, dy, dx, gamma, beta as in Ioffe and Szegedy 2015; ``axes`` are the reduced axes; ``count`` is the number of
elements per channel; ``decay`` is the weight of the old running value; ``correction`` is that of the normalising variance,
with the divisor count - correction: the definition has 0, some layers 1.

Source: Ioffe and Szegedy 2015, "Batch Normalization", sections 3 and 3.1.

Runs in workers: Python 3.8 and NumPy only.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

Array = Any
Axes = Tuple[int, ...]


# --- training ---------------------------------------------------------------------------------------------------------


def corrected_mean(values: Array, axes: Axes, correction: int) -> Array:
    """(1 / (m - correction)) sum values; m must exceed correction."""
    if correction == 0:
        return np.mean(values, axis=axes, keepdims=True)
    count = int(np.prod([values.shape[a] for a in axes], dtype=np.int64))
    return np.sum(values, axis=axes, keepdims=True) / (count - correction)


def batch_statistics(x: Array, axes: Axes, correction: int = 0) -> Tuple[Array, Array]:
    """mean = (1/m) sum x,   var = (1 / (m - correction)) sum (x - mean)^2."""
    mean = np.mean(x, axis=axes, keepdims=True)
    return mean, corrected_mean((x - mean) * (x - mean), axes, correction)


def inv_std(var: Array, epsilon: float) -> Array:
    """inv_std = 1 / sqrt(var + epsilon)."""
    return 1.0 / np.sqrt(var + epsilon)


def normalise(x: Array, mean: Array, var: Array, epsilon: float) -> Array:
    """zhat = (x - mean) * inv_std."""
    return (x - mean) * inv_std(var, epsilon)


def affine(zhat: Array, gamma: Array, beta: Array) -> Array:
    """y = gamma * zhat + beta."""
    return gamma * zhat + beta


def training_forward(x: Array, gamma: Array, beta: Array, epsilon: float, axes: Axes, correction: int = 0) -> Array:
    """y = gamma * (x - batch_mean) / sqrt(batch_var + epsilon) + beta, with the statistics of x itself."""
    mean, var = batch_statistics(x, axes, correction)
    return affine(normalise(x, mean, var, epsilon), gamma, beta)


# --- running statistics -----------------------------------------------------------------------------------------------


def running_mean_update(old: Array, batch_mean: Array, decay: float) -> Array:
    """new = decay * old + (1 - decay) * batch_mean."""
    return decay * old + (1.0 - decay) * batch_mean


def running_var_update(old: Array, batch_var: Array, count: int, decay: float, correction: int) -> Array:
    """new = decay * old + (1 - decay) * batch_var * count / (count - correction).

    ``batch_var`` is the population variance; count must exceed correction.
    """
    return decay * old + (1.0 - decay) * (batch_var * count / (count - correction))


# --- inference --------------------------------------------------------------------------------------------------------


def inference_forward(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> Array:
    """y = gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta: a fixed map, element by element."""
    return affine(normalise(x, mean, var, epsilon), gamma, beta)


# --- gradients --------------------------------------------------------------------------------------------------------


def parameter_gradients(zhat: Array, dy: Array, axes: Axes) -> Tuple[Array, Array]:
    """dgamma = sum(dy * zhat),   dbeta = sum(dy); the same in both modes, each mode with its own zhat."""
    return np.sum(dy * zhat, axis=axes, keepdims=True), np.sum(dy, axis=axes, keepdims=True)


def training_dx(x: Array, dy: Array, gamma: Array, epsilon: float, axes: Axes, correction: int = 0) -> Array:
    """dx, with the statistics of x itself: ``projected`` with both means of the cotangent.

    The mean enters through (1/m) sum x. The variance enters through (1 / (m - correction)) sum (x - mean)^2, so that the
    mean of dy * zhat has its divisor:  dx = slope * (dy - sum(dy) / m - zhat * sum(dy * zhat) / (m - correction)).
    """
    mean, var = batch_statistics(x, axes, correction)
    zhat = normalise(x, mean, var, epsilon)
    mean_dy, mean_dy_zhat = np.mean(dy, axis=axes, keepdims=True), corrected_mean(dy * zhat, axes, correction)
    return projected(dy, zhat, mean_dy, mean_dy_zhat, gamma * inv_std(var, epsilon))


def projected(dy: Array, zhat: Array, mean_dy: Array, mean_dy_zhat: Array, slope: Array) -> Array:
    """dx = slope * (dy - mean(dy) - zhat * mean(dy * zhat)), slope = gamma * inv_std: mean and variance depend on x."""
    return slope * (dy - mean_dy - zhat * mean_dy_zhat)


def inference_dx(dy: Array, gamma: Array, var: Array, epsilon: float) -> Array:
    """dx = gamma * dy / sqrt(running_var + epsilon); the statistics are constants."""
    return gamma * inv_std(var, epsilon) * dy


def inference_statistics_gradients(
    x: Array, dy: Array, gamma: Array, mean: Array, var: Array, epsilon: float, axes: Axes
) -> Tuple[Array, Array]:
    """dmean = -gamma inv_std sum(dy),   dvar = -(1/2) gamma inv_std^2 sum(dy * zhat), where the statistics are arguments."""
    scale = inv_std(var, epsilon)
    dgamma, dbeta = parameter_gradients(normalise(x, mean, var, epsilon), dy, axes)
    return -gamma * scale * dbeta, -0.5 * gamma * scale * scale * dgamma
