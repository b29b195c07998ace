"""Which numbers a dtype holds, and the nearest one where it does not: exact, by fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bnspec.model.buffers import dtype_of
from bnspec.model.precision import PRECISIONS


def nearest(value: Fraction, dtype: str) -> np.ndarray:
    """The number of this dtype that is nearest to ``value``, as an array of no axes; infinite beyond the dtype's range.

    Through float64 alone the value would be rounded twice; so the neighbours of that result are tried as well.
    """
    kind, largest = dtype_of(dtype), PRECISIONS[dtype].largest
    if abs(value) > Fraction(largest):
        return np.asarray(np.inf if value > 0 else -np.inf, kind)
    first = np.asarray(np.clip(float(value), -largest, largest), kind)
    around = [first, *(np.nextafter(first, np.asarray(side, kind)) for side in (-np.inf, np.inf))]
    finite = [np.asarray(a, kind) for a in around if np.isfinite(a)]
    return min(finite, key=lambda a: abs(Fraction(float(a)) - value))


def nearest_of(values: Sequence[Fraction], dtype: str) -> np.ndarray:
    """``nearest`` of each value, as an array of one axis."""
    return np.array([nearest(v, dtype) for v in values], dtype_of(dtype))


def is_exact(held: np.ndarray, values: Sequence[Fraction]) -> bool:
    """Whether each number held is the value, exactly."""
    wide = held.astype(np.float64).tolist()
    return all(np.isfinite(h) and Fraction(h) == v for h, v in zip(wide, values, strict=True))


def fractions_of(values: np.ndarray) -> list[Fraction]:
    """The values of a finite array of any of the dtypes, exactly."""
    return [Fraction(v) for v in values.astype(np.float64).reshape(-1).tolist()]
