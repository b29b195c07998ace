"""A toy framework: one layer in NumPy, with one defect. It stands for the package that a new backend folder is about."""

import numpy as np

__version__ = "1.0.0"


class BatchNorm:
    """Batch normalization over all axes but the last. The defect: training on an empty batch makes the state NaN."""

    def __init__(self, weight, bias, running_mean, running_var, eps=1e-5, momentum=0.1):
        self.weight, self.bias, self.eps, self.momentum = weight, bias, eps, momentum
        self.running_mean, self.running_var = running_mean, running_var

    def __call__(self, x, training=False):
        """y; in training the running statistics move."""
        mean, var = self.learned(x) if training else (self.running_mean, self.running_var)
        return self.weight * ((x - mean) / np.sqrt(var + self.eps)) + self.bias

    def backward(self, x, dy, training=False):
        """y, and the gradients of x, weight and bias; in training the running statistics move."""
        axes, y = tuple(range(x.ndim - 1)), self(x, training)
        mean, var = moments(x) if training else (self.running_mean, self.running_var)
        inv_std = 1 / np.sqrt(var + self.eps)
        zhat, dx = (x - mean) * inv_std, dy
        if training:
            dx = dy - dy.mean(axes) - zhat * (dy * zhat).mean(axes)
        return y, self.weight * inv_std * dx, (dy * zhat).sum(axes), dy.sum(axes)

    def learned(self, x):
        """The batch's statistics, after they have entered the running ones."""
        mean, var = moments(x)
        self.running_mean = (1 - self.momentum) * self.running_mean + self.momentum * mean
        self.running_var = (1 - self.momentum) * self.running_var + self.momentum * var
        return mean, var


def moments(x):
    """Mean and variance of each channel; NaN where there are no values."""
    axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
    with np.errstate(invalid="ignore"):
        mean = x.sum(axes) / np.asarray(count, x.dtype)
        return mean, np.square(x - mean).sum(axes) / np.asarray(count, x.dtype)
