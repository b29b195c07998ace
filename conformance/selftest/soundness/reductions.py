"""Ways to add up the last axis of an array in its own precision: the orders and tricks that implementations use."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Sum = Callable[[Array], Array]


def sequential(a: Array) -> Array:
    """One value after the other."""
    return np.cumsum(a, axis=-1, dtype=a.dtype)[..., -1]


def backwards(a: Array) -> Array:
    """From the last value to the first."""
    return sequential(a[..., ::-1])


def ascending(a: Array) -> Array:
    """From the smallest magnitude to the largest."""
    return sequential(np.take_along_axis(a, np.argsort(np.abs(a), axis=-1), axis=-1))


def pairwise(a: Array) -> Array:
    """NumPy's own: pairwise down to 128 values, eight lanes below."""
    return np.sum(np.ascontiguousarray(a), axis=-1, dtype=a.dtype)


def tree(a: Array) -> Array:
    """A balanced tree of single values, as a reduction over threads."""
    parts = _padded(a, 1 << max(a.shape[-1] - 1, 0).bit_length())
    while parts.shape[-1] > 1:
        parts = parts[..., ::2] + parts[..., 1::2]
    return parts[..., 0]


def lanes(a: Array) -> Array:
    """Eight interleaved lanes, each one after the other, then a tree: a SIMD loop."""
    parts = _padded(a, -(-a.shape[-1] // 8) * 8)
    return tree(sequential(np.moveaxis(parts.reshape(*a.shape[:-1], -1, 8), -2, -1)))


def blocks_chained(a: Array) -> Array:
    """Blocks of 32, one after the other, and so their sums."""
    return sequential(_block_sums(a))


def blocks_in_tree(a: Array) -> Array:
    """Blocks of 32, one after the other, and a tree over their sums."""
    return tree(_block_sums(a))


def threads(a: Array) -> Array:
    """Three unequal shares, each one after the other, collected last first: as atomics may order them."""
    m = a.shape[-1]
    cuts = [0, m // 2, m // 2 + m // 3, m]
    shares = [sequential(a[..., i:j]) for i, j in itertools.pairwise(cuts) if j > i]
    return sequential(np.stack(shares[::-1], axis=-1))


def kahan(a: Array) -> Array:
    """Compensated summation: the rounding of each addition is fed back into the next.

    Source: Kahan 1965, "Further remarks on reducing truncation errors".
    """
    total, lost = np.zeros(a.shape[:-1], a.dtype), np.zeros(a.shape[:-1], a.dtype)
    for k in range(a.shape[-1]):
        value = a[..., k] - lost
        new = total + value
        lost = (new - total) - value
        total = new
    return total


def neumaier(a: Array) -> Array:
    """Compensated summation that also holds where a value is larger than the sum so far.

    Source: Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen".
    """
    total, lost = np.zeros(a.shape[:-1], a.dtype), np.zeros(a.shape[:-1], a.dtype)
    for k in range(a.shape[-1]):
        value = a[..., k]
        new = total + value
        lost = lost + np.where(np.abs(total) >= np.abs(value), (total - new) + value, (value - new) + total)
        total = new
    return total + lost


def wide(a: Array) -> Array:
    """In float64 (float64 itself: in the widest the machine has), rounded once."""
    return np.cumsum(a, axis=-1, dtype=wider(a.dtype))[..., -1].astype(a.dtype)


def wider(dtype: Any) -> Any:
    """The accumulator's dtype for a working dtype."""
    return np.longdouble if dtype in (np.float64, np.longdouble) else np.float64


def _padded(a: Array, length: int) -> Array:
    fill = [(0, 0)] * (a.ndim - 1) + [(0, length - a.shape[-1])]
    return np.pad(a, fill)


def _block_sums(a: Array) -> Array:
    parts = _padded(a, -(-a.shape[-1] // 32) * 32)
    return sequential(parts.reshape(*a.shape[:-1], -1, 32))
