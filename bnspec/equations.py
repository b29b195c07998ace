"""The equations of batch normalization and input normalization, each written once.

They run unchanged on float32 and float64 arrays (the working precision of the NumPy backend), on quad arrays (the oracle),
on complex arrays (the complex-step derivative that checks the gradients) and on object arrays of balls: only +, -, *, /,
``np.sqrt``, ``np.sum`` and ``np.mean`` are used. Statistics and parameters broadcast against x: shape (1, C, 1, ...).

Notation: x, y, dy, dx, gamma, beta as in Ioffe and Szegedy 2015; ``axes`` are the reduced axes; ``count`` is the number of
elements per channel; ``decay`` is the weight that the old running value keeps.

Source: Ioffe and Szegedy 2015, "Batch Normalization", sections 3 and 3.1; LeCun et al. 1998, "Efficient BackProp", 4.3.

Runs in workers: Python 3.8 and NumPy only.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence, Tuple

import numpy as np

Array = Any
Axes = Tuple[int, ...]


class Moments(NamedTuple):
    """Count, mean and sum of squared deviations of a set of values; what two sets need to be merged exactly."""

    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks for
    mean: Array
    squares: Array

    @property
    def var(self) -> Array:
        """The population variance, squares / count."""
        return self.squares / self.count


# --- training ---------------------------------------------------------------------------------------------------------


def batch_statistics(x: Array, axes: Axes) -> Tuple[Array, Array]:
    """mean = (1/m) sum x,   var = (1/m) sum (x - mean)^2."""
    mean = np.mean(x, axis=axes, keepdims=True)
    var = np.mean((x - mean) * (x - mean), axis=axes, keepdims=True)
    return mean, var


def inv_std(var: Array, epsilon: float) -> Array:
    """inv_std = 1 / sqrt(var + epsilon)."""
    return 1.0 / np.sqrt(var + epsilon)


def normalise(x: Array, mean: Array, var: Array, epsilon: float) -> Array:
    """zhat = (x - mean) * inv_std."""
    return (x - mean) * inv_std(var, epsilon)


def affine(zhat: Array, gamma: Array, beta: Array) -> Array:
    """y = gamma * zhat + beta."""
    return gamma * zhat + beta


def training_forward(x: Array, gamma: Array, beta: Array, epsilon: float, axes: Axes) -> Array:
    """y = gamma * (x - batch_mean) / sqrt(batch_var + epsilon) + beta, with the statistics of x itself."""
    mean, var = batch_statistics(x, axes)
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


def training_dx(x: Array, dy: Array, gamma: Array, epsilon: float, axes: Axes) -> Array:
    """dx = gamma * inv_std * (dy - mean(dy) - zhat * mean(dy * zhat)); mean and variance depend on x."""
    mean, var = batch_statistics(x, axes)
    zhat = normalise(x, mean, var, epsilon)
    through_mean = np.mean(dy, axis=axes, keepdims=True)
    through_var = zhat * np.mean(dy * zhat, axis=axes, keepdims=True)
    return gamma * inv_std(var, epsilon) * (dy - through_mean - through_var)


def inference_dx(dy: Array, gamma: Array, var: Array, epsilon: float) -> Array:
    """dx = gamma * dy / sqrt(running_var + epsilon); the statistics are constants."""
    return gamma * inv_std(var, epsilon) * dy


# --- input normalization ----------------------------------------------------------------------------------------------


def moments(x: Array, axes: Axes) -> Moments:
    """Count, mean and sum of squared deviations of x over the axes."""
    mean = np.mean(x, axis=axes, keepdims=True)
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    return Moments(count, mean, np.sum((x - mean) * (x - mean), axis=axes, keepdims=True))


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of the union: d = b.mean - a.mean,  mean += d * m_b / m,  squares += d^2 * m_a * m_b / m.

    Source: Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
    """
    if a.count == 0 or b.count == 0:
        return b if a.count == 0 else a
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * b.count / count
    return Moments(count, mean, a.squares + b.squares + delta * delta * a.count * b.count / count)


def fit(chunks: Sequence[Array], axes: Axes) -> Moments:
    """The moments of the whole training set, whatever its chunking; empty chunks change nothing."""
    filled = [c for c in chunks if c.size]
    total = moments(filled[0], axes)
    for chunk in filled[1:]:
        total = merge(total, moments(chunk, axes))
    return total


def input_transform(x: Array, mean: Array, scale: Array) -> Array:
    """x_j <- (x_j - mean_j) / scale_j, with the training set's statistics."""
    return (x - mean) / scale


def input_inverse(y: Array, mean: Array, scale: Array) -> Array:
    """x_j = y_j * scale_j + mean_j: undoes ``input_transform``."""
    return y * scale + mean
