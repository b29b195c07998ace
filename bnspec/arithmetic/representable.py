"""The representable numbers of a dtype, and the nearest one to any value: exact, by fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bnspec.model.buffers import dtype_of
from bnspec.model.precision import PRECISIONS


def nearest(value: Fraction, dtype: str) -> np.ndarray:
    """The number of this dtype nearest to ``value``, as an array without axes; infinite beyond the dtype's range.

    Going through float64 rounds twice, so the neighbours of that result are compared as well.
    """
    kind, largest = dtype_of(dtype), PRECISIONS[dtype].largest
    if abs(value) > Fraction(largest):
        return np.asarray(np.inf if value > 0 else -np.inf, kind)
    first = np.asarray(np.clip(float(value), -largest, largest), kind)
    around = [first, *(np.nextafter(first, np.asarray(side, kind)) for side in (-np.inf, np.inf))]
    finite = [np.asarray(a, kind) for a in around if np.isfinite(a)]
    return min(finite, key=lambda a: abs(Fraction(float(a)) - value))


def nearest_of(values: Sequence[Fraction], dtype: str) -> np.ndarray:
    """``nearest`` of each value, as an array with one axis."""
    return np.array([nearest(v, dtype) for v in values], dtype_of(dtype))


def is_exact(held: np.ndarray, values: Sequence[Fraction]) -> bool:
    """Whether each stored number equals the value exactly."""
    wide = held.astype(np.float64).tolist()
    return all(np.isfinite(h) and Fraction(h) == v for h, v in zip(wide, values, strict=True))


def fractions_of(values: np.ndarray) -> list[Fraction]:
    """The exact values of a finite array of any of the dtypes."""
    return [Fraction(v) for v in values.astype(np.float64).reshape(-1).tolist()]
