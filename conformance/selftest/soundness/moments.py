"""Ways to the mean and the population variance of the last axis, each with the summation it is given; results keep the axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bnspec.conformance.selftest.soundness.reductions import Sum, wider

Array = Any
Pair = tuple[Array, Array]
Moments = Callable[[Array, Sum], Pair]
Part = tuple[int, Array, Array]  # count, mean, sum of squared deviations


def mean_of(a: Array, total: Sum) -> Array:
    """sum / m."""
    return total(a)[..., None] / a.dtype.type(a.shape[-1])


def two_pass(x: Array, total: Sum) -> Pair:
    """mean = sum x / m,  var = sum (x - mean)^2 / m."""
    mean = mean_of(x, total)
    return mean, mean_of(np.square(x - mean), total)


def by_reciprocal(x: Array, total: Sum) -> Pair:
    """The same with products by 1/m."""
    part = x.dtype.type(1) / x.dtype.type(x.shape[-1])
    mean = total(x)[..., None] * part
    return mean, total(np.square(x - mean))[..., None] * part


def corrected(x: Array, total: Sum) -> Pair:
    """Two-pass with the compensation (sum d)^2 / m.

    Source: Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", equation 1.7.
    """
    mean = mean_of(x, total)
    d = x - mean
    rest = total(d)[..., None]
    m = x.dtype.type(x.shape[-1])
    return mean, np.maximum(total(np.square(d))[..., None] - rest * rest / m, 0) / m


def welford(x: Array, total: Sum) -> Pair:
    """Updates mean and squared deviations value by value.

    Source: Welford 1962, "Note on a method for calculating corrected sums of squares and products".
    """
    return _welford(x, lambda d, k: d / k)


def welford_by_table(x: Array, total: Sum) -> Pair:
    """The same with products by a table of 1/k."""
    return _welford(x, lambda d, k: d * (k.dtype.type(1) / k))


def _welford(x: Array, share: Callable[[Array, Any], Array]) -> Pair:
    mean, squares = np.zeros((*x.shape[:-1], 1), x.dtype), np.zeros((*x.shape[:-1], 1), x.dtype)
    for k in range(x.shape[-1]):
        value = x[..., k : k + 1]
        delta = value - mean
        mean = mean + share(delta, x.dtype.type(k + 1))
        squares = squares + delta * (value - mean)
    return mean, squares / x.dtype.type(x.shape[-1])


def _part(x: Array, total: Sum) -> Part:
    mean = mean_of(x, total)
    return x.shape[-1], mean, total(np.square(x - mean))[..., None]


def merge(a: Part, b: Part) -> Part:
    """Chan's merge of two parts, the larger first."""
    if b[0] > a[0]:
        a, b = b, a
    work, count = a[1].dtype.type, a[0] + b[0]
    delta = b[1] - a[1]
    mean = a[1] + delta * work(b[0] / count)
    return count, mean, a[2] + b[2] + delta * delta * work(a[0] * b[0] / count)


def merge_weighted(a: Part, b: Part) -> Part:
    """The same by weighted means, (m_a mean_a + m_b mean_b) / m, as incremental scalers do it."""
    work, count = a[1].dtype.type, a[0] + b[0]
    delta = b[1] - a[1]
    mean = (a[1] * work(a[0]) + b[1] * work(b[0])) / work(count)
    return count, mean, a[2] + b[2] + delta * delta * (work(a[0]) * work(b[0]) / work(count))


def _finished(part: Part) -> Pair:
    return part[1], part[2] / part[1].dtype.type(part[0])


def four_parts(x: Array, total: Sum) -> Pair:
    """Chan's merge of four parts, one after the other."""
    parts = [_part(p, total) for p in np.array_split(x, 4, axis=-1) if p.shape[-1]]
    return _finished(_chain(parts, merge))


def merged_tree(x: Array, total: Sum) -> Pair:
    """Chan's merge in a balanced tree, down to single values."""
    return _finished(_tree(x, 1, total))


def merged_leaves(x: Array, total: Sum) -> Pair:
    """Chan's merge in a balanced tree over leaves of up to eight values."""
    return _finished(_tree(x, 8, total))


def _tree(x: Array, leaf: int, total: Sum) -> Part:
    """Halves, the larger first, down to leaves."""
    m = x.shape[-1]
    if m <= leaf:
        return _part(x, total)
    half = m - m // 2
    return merge(_tree(x[..., :half], leaf, total), _tree(x[..., half:], leaf, total))


def shifted(x: Array, total: Sum) -> Pair:
    """E[d^2] - E[d]^2 with d = x - the first value, clipped at 0."""
    d = x - x[..., :1]
    moved = mean_of(d, total)
    return moved + x[..., :1], np.maximum(mean_of(np.square(d), total) - np.square(moved), 0)


def one_pass(x: Array, total: Sum) -> Pair:
    """E[x^2] - E[x]^2, clipped at 0."""
    mean = mean_of(x, total)
    return mean, np.maximum(mean_of(np.square(x), total) - np.square(mean), 0)


def one_pass_unclipped(x: Array, total: Sum) -> Pair:
    """E[x^2] - E[x]^2, whatever comes out."""
    mean = mean_of(x, total)
    return mean, mean_of(np.square(x), total) - np.square(mean)


def in_wider(x: Array, total: Sum) -> Pair:
    """Two-pass with everything in a wider precision, rounded at the end."""
    mean, var = two_pass(x.astype(wider(x.dtype)), total)
    return mean.astype(x.dtype), var.astype(x.dtype)


def one_pass_in_wider(x: Array, total: Sum) -> Pair:
    """E[x^2] - E[x]^2 in a wider precision, rounded at the end."""
    mean, var = one_pass(x.astype(wider(x.dtype)), total)
    return mean.astype(x.dtype), var.astype(x.dtype)


def _chain(parts: Sequence[Part], join: Callable[[Part, Part], Part]) -> Part:
    whole = parts[0]
    for part in parts[1:]:
        whole = join(whole, part)
    return whole


def fit_merged(chunks: Sequence[Array], moments: Moments, total: Sum, join: Callable[[Part, Part], Part]) -> Pair:
    """Mean and variance of a training set that comes in chunks, each by ``moments``, joined one after the other."""
    parts = []
    for chunk in chunks:
        mean, var = moments(chunk, total)
        parts.append((chunk.shape[-1], mean, var * chunk.dtype.type(chunk.shape[-1])))
    return _finished(_chain(parts, join))
