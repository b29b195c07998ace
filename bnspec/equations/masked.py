"""The equations of batch normalization with a mask: padded sequences.

The same arithmetics as ``equations``. ``mask`` holds 1 where an element counts and 0 where it is padding, and broadcasts
against x: a mask over (batch, time) has shape (N, T, 1) for x of shape (N, T, C).

Source: the definition on the elements that count: a masked batch is the batch without its padding.
"""

from __future__ import annotations

import numpy as np

from bnspec.equations.batch_norm import Array, Axes, inv_std, normalise, projected


def masked_count(x: Array, mask: Array, axes: Axes) -> Array:
    """The number of unmasked elements per channel: the mask's sum *after* broadcasting it to x."""
    return np.sum(np.broadcast_to(mask, x.shape), axis=axes, keepdims=True)


def masked_statistics(x: Array, mask: Array, axes: Axes, correction: int = 0) -> tuple[Array, Array]:
    """mean = (1/count) sum mask * x,   var = (1 / (count - correction)) sum mask * (x - mean)^2."""
    count = masked_count(x, mask, axes)
    mean = np.sum(mask * x, axis=axes, keepdims=True) / count
    return mean, np.sum(mask * (x - mean) * (x - mean), axis=axes, keepdims=True) / (count - correction)


def masked_training_dx(
    x: Array, dy: Array, gamma: Array, mask: Array, epsilon: float, axes: Axes, correction: int = 0
) -> Array:
    """dx = mask * gamma * inv_std * (dy - M_0(dy) - zhat * M(dy * zhat)); 0 on padding.

    M_0(a) = (1/count) sum mask * a,   M(a) = (1 / (count - correction)) sum mask * a
    """
    count = masked_count(x, mask, axes)
    mean, var = masked_statistics(x, mask, axes, correction)
    zhat = normalise(x, mean, var, epsilon)
    mean_dy = np.sum(mask * dy, axis=axes, keepdims=True) / count
    mean_dy_zhat = np.sum(mask * dy * zhat, axis=axes, keepdims=True) / (count - correction)
    return projected(dy, zhat, mean_dy, mean_dy_zhat, mask * gamma * inv_std(var, epsilon))
