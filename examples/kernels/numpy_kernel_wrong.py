"""The twin of numpy_kernel.py with one mistake: the variance that normalises has the divisor m - 1."""

import numpy as np


def run(x, gamma, beta, running_mean, running_var, eps, momentum, training=True):
    axes, shape = tuple(a for a in range(x.ndim) if a != 1), (1, -1) + (1,) * (x.ndim - 2)
    wide = x.astype(np.float64)
    old = [s.astype(np.float64) for s in (running_mean, running_var)]
    mean, var = (wide.mean(axes), wide.var(axes, ddof=1)) if training else old
    scale = gamma.astype(np.float64) / np.sqrt(var + eps)
    y = (wide - mean.reshape(shape)) * scale.reshape(shape) + beta.astype(np.float64).reshape(shape)
    if training:
        for running, before, batch in zip((running_mean, running_var), old, (mean, var)):
            running[...] = (1 - momentum) * before + momentum * batch
    return y.astype(x.dtype)
