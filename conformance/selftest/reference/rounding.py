"""Roundings of float64 values to a coarser dtype, bit by bit: what mutants and variants round by in place of to nearest even.

Infinities and NaN stay; below the normal numbers of the dtype the values keep digits that the dtype has not, and converting them
rounds again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
#: Bits of a float64's fraction that the dtype does not hold.
DROPPED = {"float32": 29, "bfloat16": 45, "float16": 42}


def _bits(values: Array) -> Array:
    return np.asarray(values, np.float64).view(np.uint64)


def _lowest(dtype: str) -> Any:
    """The unit in the last place of the dtype, in the bits of a float64; 1 for float64."""
    return np.uint64(1 << DROPPED.get(dtype, 0))


def _kept(rounded: Array, values: Array) -> Array:
    return np.where(np.isfinite(values), rounded.view(np.float64), values)


def toward_zero(values: Array, dtype: str) -> Array:
    """The values without the bits that the dtype does not hold."""
    return _kept(_bits(values) & ~(_lowest(dtype) - np.uint64(1)), values)


def downward(values: Array, dtype: str) -> Array:
    """The largest numbers of the dtype that are at most the values."""
    chopped = toward_zero(values, dtype)
    next_lower = _kept(_bits(chopped) + _lowest(dtype), chopped)
    return np.where(chopped > values, next_lower, chopped)


def ties_away(values: Array, dtype: str) -> Array:
    """The nearest numbers of the dtype; of two equally near ones that of larger magnitude."""
    lowest = _lowest(dtype)
    half = lowest >> np.uint64(1)
    return toward_zero(_kept(_bits(values) + half, values), dtype)


def to_odd(values: Array, dtype: str) -> Array:
    """The values without the bits that the dtype does not hold; where these are not all 0, the last kept bit is set."""
    lowest = _lowest(dtype)
    inexact = (_bits(values) & (lowest - np.uint64(1))) != 0
    chopped = _bits(toward_zero(values, dtype))
    return _kept(np.where(inexact, chopped | lowest, chopped), values)
