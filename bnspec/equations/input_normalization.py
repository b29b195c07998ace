"""The equations of input normalization: moments of the training set, in chunks, and the map that they define.

The same arithmetics as ``equations``. Statistics broadcast against x: shape (1, C, 1, ...).

Source: LeCun et al. 1998, "Efficient BackProp", 4.3; Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise
algorithm for computing sample variances".

Runs in workers: Python 3.8 and NumPy only.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bnspec.equations.batch_norm import Array, Axes
from bnspec.errors import UsageError


class Moments(NamedTuple):
    """Count, mean and sum of squared deviations of a set of values: enough to merge two sets exactly."""

    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks for
    mean: Array
    squares: Array

    @property
    def var(self) -> Array:
        """The population variance, squares / count."""
        return self.squares / self.count


def empty_sum(x: Array, axes: Axes) -> Array:
    """Zeros in the shape of a statistic, for an empty sum: not every arithmetic supports one."""
    return np.zeros([1 if a in axes else n for a, n in enumerate(x.shape)], x.dtype)


def moments(x: Array, axes: Axes) -> Moments:
    """Count, mean and sum of squared deviations of x over the axes; 0, 0 and 0 for no values."""
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    if count == 0:
        return Moments(0, empty_sum(x, axes), empty_sum(x, axes))
    mean = np.mean(x, axis=axes, keepdims=True)
    return Moments(count, mean, np.sum((x - mean) * (x - mean), axis=axes, keepdims=True))


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of the union: d = b.mean - a.mean,  mean += d * m_b / m,  squares += d^2 * m_a * m_b / m."""
    if a.count == 0 or b.count == 0:
        return b if a.count == 0 else a
    count = a.count + b.count
    delta = b.mean - a.mean
    mean = a.mean + delta * b.count / count
    return Moments(count, mean, a.squares + b.squares + delta * delta * a.count * b.count / count)


def fit(chunks: Sequence[Array], axes: Axes) -> Moments:
    """The moments of the whole training set, for any chunking; empty chunks have no effect.

    Raises UsageError: no chunk has a row.
    """
    filled = [c for c in chunks if c.size]
    if not filled:
        raise UsageError("there is nothing to fit.", "no chunk holds a row.", "give the training set.")
    return functools.reduce(merge, (moments(c, axes) for c in filled))


def input_transform(x: Array, mean: Array, scale: Array) -> Array:
    """x_j <- (x_j - mean_j) / scale_j, with the training set's statistics."""
    return (x - mean) / scale


def input_inverse(y: Array, mean: Array, scale: Array) -> Array:
    """x_j = y_j * scale_j + mean_j: undoes ``input_transform``."""
    return y * scale + mean
