"""Batch normalization of NumPy arrays: returns y, and moves the running statistics in place."""

import numpy as np


def axes_of(x):
    return tuple(a for a in range(x.ndim) if a != 1), (1, -1) + (1,) * (x.ndim - 2)


def run(x, gamma, beta, running_mean, running_var, eps, momentum, training=True):
    if training and not x.size:
        raise ValueError("an empty batch has no statistics")
    axes, shape = axes_of(x)
    wide = x.astype(np.float64)
    old = [s.astype(np.float64) for s in (running_mean, running_var)]
    mean, var = (wide.mean(axes), wide.var(axes)) if training else old
    scale = gamma.astype(np.float64) / np.sqrt(var + eps)
    y = (wide - mean.reshape(shape)) * scale.reshape(shape) + beta.astype(np.float64).reshape(shape)
    if training:
        for running, before, batch in zip((running_mean, running_var), old, (mean, var)):
            running[...] = (1 - momentum) * before + momentum * batch
    return y.astype(x.dtype)


def run_backward(dy, x, gamma, mean, var, eps, training=True):
    axes, shape = axes_of(x)
    inv_std = (1 / np.sqrt(var.astype(np.float64) + eps)).reshape(shape)
    g, zhat = dy.astype(np.float64), (x.astype(np.float64) - mean.reshape(shape)) * inv_std
    dgamma, dbeta = (g * zhat).sum(axes), g.sum(axes)
    through = (dbeta.reshape(shape) + zhat * dgamma.reshape(shape)) / (x.size // x.shape[1]) if training else 0
    dx = gamma.astype(np.float64).reshape(shape) * inv_std * (g - through)
    return dx.astype(x.dtype), dgamma.astype(gamma.dtype), dbeta.astype(gamma.dtype)
