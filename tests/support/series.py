"""Exact numbers for the equations: rationals, and power series with rational coefficients.

A ``Series`` is c_0 + c_1 t + c_2 t^2 + ..., cut off after its last coefficient. With x + t v in the place of x, c_1 of a result is
its derivative along v: exactly, and without anyone having derived a formula. Square roots exist where c_0 is the square of a
rational; ``square_epsilon`` chooses epsilon so that it is.
"""

from __future__ import annotations

import functools
import math
import numbers
from fractions import Fraction
from typing import Any

import numpy as np


def _elementwise(operation: Any) -> Any:
    """The operation with a number; arrays are left to NumPy, which comes back with their elements."""

    @functools.wraps(operation)
    def scalar(self: Series, other: Any) -> Any:
        return NotImplemented if isinstance(other, np.ndarray) else operation(self, other)

    return scalar


class Series:
    """A rational number, or a power series cut off: ``coefficients`` from t^0 on. One coefficient is a constant."""

    __slots__ = ("coefficients",)

    def __init__(self, *coefficients: Any) -> None:
        self.coefficients = tuple(
            Fraction(int(c)) if isinstance(c, numbers.Integral) else Fraction(c) for c in coefficients
        )

    def __repr__(self) -> str:
        return "Series(" + ", ".join(map(str, self.coefficients)) + ")"

    @_elementwise
    def __add__(self, other: Any) -> Series:
        a, b = _aligned(self, other)
        return Series(*(p + q for p, q in zip(a, b, strict=True)))

    def __neg__(self) -> Series:
        return Series(*(-c for c in self.coefficients))

    @_elementwise
    def __sub__(self, other: Any) -> Series:
        return self + (-_series(other))

    def __rsub__(self, other: Any) -> Series:
        return _series(other) - self

    @_elementwise
    def __mul__(self, other: Any) -> Series:
        a, b = _aligned(self, other)
        return Series(*(sum((a[i] * b[k - i] for i in range(k + 1)), Fraction(0)) for k in range(len(a))))

    @_elementwise
    def __truediv__(self, other: Any) -> Series:
        a, b = _aligned(self, other)
        quotient: list[Fraction] = []
        for k in range(len(a)):
            quotient.append((a[k] - sum(quotient[i] * b[k - i] for i in range(k))) / b[0])
        return Series(*quotient)

    def __rtruediv__(self, other: Any) -> Series:
        return _series(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __eq__(self, other: object) -> bool:
        a, b = _aligned(self, other)
        return a == b

    __hash__ = None  # type: ignore[assignment]

    def __gt__(self, other: Any) -> bool:
        return self.coefficients[0] > _series(other).coefficients[0]

    def sqrt(self) -> Series:
        """The square root; ArithmeticError where the constant term is not the square of a rational."""
        c = self.coefficients
        top, bottom = math.isqrt(c[0].numerator), math.isqrt(c[0].denominator)
        if top * top != c[0].numerator or bottom * bottom != c[0].denominator:
            raise ArithmeticError(f"{c[0]} is not the square of a rational")
        root = [Fraction(top, bottom)]
        for k in range(1, len(c)):
            root.append((c[k] - sum(root[i] * root[k - i] for i in range(1, k))) / (2 * root[0]))
        return Series(*root)


def _series(value: Any) -> Series:
    return value if isinstance(value, Series) else Series(value)


def _aligned(a: Any, b: Any) -> tuple[tuple[Fraction, ...], tuple[Fraction, ...]]:
    """Coefficients of equal number; a constant is exact at every order."""
    p, q = _series(a).coefficients, _series(b).coefficients
    size = max(len(p), len(q))
    assert {len(p), len(q)} <= {1, size}, "series of different orders"
    return p + (Fraction(0),) * (size - len(p)), q + (Fraction(0),) * (size - len(q))


def exact(values: Any) -> np.ndarray:
    """An object array of the same numbers, exactly."""
    array = np.asarray(values, dtype=object)
    result = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        result[index] = _series(array[index])
    return result


def some(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Quarters between -9 and 9, of no particular pattern."""
    return exact(np.random.default_rng(seed).integers(-36, 37, shape)) / 4


def square_epsilon(var: Any) -> np.ndarray:
    """For each variance an epsilon >= 1 such that their sum is a perfect square."""
    epsilon = np.empty(np.shape(var), dtype=object)
    for index in np.ndindex(epsilon.shape):
        value = _series(var[index]).coefficients[0]
        epsilon[index] = Series((math.isqrt(math.ceil(value)) + 1) ** 2 - value)
    return epsilon


def moving(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """x + t v, to first order in t."""
    return x + v * Series(0, 1)


def rate(values: Any) -> np.ndarray:
    """d/dt at t = 0 of each value."""
    array = np.asarray(values, dtype=object)
    rates = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        rates[index] = Series(*(_series(array[index]).coefficients[1:2] or (0,)))
    return rates


def gradient(function: Any, x: np.ndarray) -> np.ndarray:
    """The gradient of a scalar function of x, from one series for each element."""
    result = np.empty(x.shape, dtype=object)
    for index in np.ndindex(x.shape):
        unit = exact(np.zeros(x.shape, int))
        unit[index] = Series(1)
        result[index] = rate(function(moving(x, unit)))[()]
    return result


def equal(a: Any, b: Any) -> bool:
    """Equal shapes and equal numbers, with nothing in between."""
    return np.shape(a) == np.shape(b) and bool(np.all(np.equal(a, b, dtype=object)))
