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


def masked_statistics(x: Array, mask: Array, axes: Axes) -> tuple[Array, Array]:
    """mean = (1/count) sum mask * x,   var = (1/count) sum mask * (x - mean)^2."""
    count = masked_count(x, mask, axes)
    mean = np.sum(mask * x, axis=axes, keepdims=True) / count
    return mean, np.sum(mask * (x - mean) * (x - mean), axis=axes, keepdims=True) / count


def masked_training_dx(x: Array, dy: Array, gamma: Array, mask: Array, epsilon: float, axes: Axes) -> Array:
    """dx = mask * gamma * inv_std * (dy - M(dy) - zhat * M(dy * zhat)),   M(a) = (1/count) sum mask * a; 0 on padding."""
    count = masked_count(x, mask, axes)
    mean, var = masked_statistics(x, mask, axes)
    zhat = normalise(x, mean, var, epsilon)
    mean_dy, mean_dy_zhat = (np.sum(g, axis=axes, keepdims=True) / count for g in (mask * dy, mask * dy * zhat))
    return projected(dy, zhat, mean_dy, mean_dy_zhat, mask * gamma * inv_std(var, epsilon))
