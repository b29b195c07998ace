"""Folding batch normalization into a neighbouring linear map, for inference.

The same arithmetics as ``equations``. A linear map has weight (out, in) and bias (out,) and takes x of shape (N, in); a
convolution folds alike, its weight (out, ...) scaled along the first axis. gamma, beta and the statistics have shape (C,).

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Integer-Arithmetic-Only Inference", 3.2.
"""

from __future__ import annotations

import numpy as np

from bnspec.equations.batch_norm import Array, inv_std


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """y_no = sum_i x_ni * weight_oi + bias_o."""
    return np.sum(x[:, None, :] * weight[None, :, :], axis=2) + bias


def scale_and_shift(gamma: Array, beta: Array, mean: Array, var: Array, epsilon: float) -> tuple[Array, Array]:
    """scale = gamma / sqrt(var + epsilon),   shift = beta - mean * scale: inference is y = x * scale + shift."""
    scale = gamma * inv_std(var, epsilon)
    return scale, beta - mean * scale


def fold_into_preceding(weight: Array, bias: Array, scale: Array, shift: Array) -> tuple[Array, Array]:
    """Linear -> BN as one map: weight' = scale * weight row by row,   bias' = scale * bias + shift."""
    return scale.reshape((-1,) + (1,) * (weight.ndim - 1)) * weight, scale * bias + shift


def fold_into_following(weight: Array, bias: Array, scale: Array, shift: Array) -> tuple[Array, Array]:
    """BN -> Linear as one map: weight' = weight * scale column by column,   bias' = bias + weight @ shift.

    Not for a convolution with padding: its zeros come after the shift.
    """
    return weight * scale, bias + np.sum(weight * shift, axis=1)
