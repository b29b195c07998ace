"""The equations of layer normalization: statistics of each sample over its features.

The same arithmetics as ``equations``. ``axes`` are the features' axes; gamma and beta broadcast over them, the statistics have
shape (N, 1, ...). There is no state, and training and inference are the same map.

Source: Ba, Kiros and Hinton 2016, "Layer Normalization", section 3.
"""

from __future__ import annotations

import numpy as np

from bnspec.equations.batch_norm import Array, Axes, affine, batch_statistics, inv_std, normalise, projected


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float, axes: Axes) -> Array:
    """y = gamma * (x - mean_n) / sqrt(var_n + epsilon) + beta, mean and population variance of each sample."""
    mean, var = batch_statistics(x, axes)
    return affine(normalise(x, mean, var, epsilon), gamma, beta)


def layer_norm_dx(x: Array, dy: Array, gamma: Array, epsilon: float, axes: Axes) -> Array:
    """dx = inv_std * (g - mean(g) - zhat * mean(g * zhat)),   g = gamma * dy: gamma stands inside the means."""
    mean, var = batch_statistics(x, axes)
    zhat, g = normalise(x, mean, var, epsilon), gamma * dy
    mean_g, mean_g_zhat = (np.mean(h, axis=axes, keepdims=True) for h in (g, g * zhat))
    return projected(g, zhat, mean_g, mean_g_zhat, inv_std(var, epsilon))


def layer_norm_parameter_gradients(x: Array, dy: Array, epsilon: float, axes: Axes) -> tuple[Array, Array]:
    """dgamma = sum over samples of dy * zhat,   dbeta = sum over samples of dy; one value for each feature."""
    zhat = normalise(x, *batch_statistics(x, axes), epsilon)
    samples = tuple(a for a in range(x.ndim) if a not in axes)
    return np.sum(dy * zhat, axis=samples, keepdims=True), np.sum(dy, axis=samples, keepdims=True)
