"""Dual numbers a + b t with t^2 = 0, over any numbers, for automatic differentiation.

In object arrays they run through the equations unchanged; over balls the derivative is an enclosure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Dual:
    """value + derivative t."""

    def __init__(self, value: Any, derivative: Any) -> None:
        self.value, self.derivative = value, derivative

    def __add__(self, other: Any) -> Dual:
        b = dual(other)
        return Dual(self.value + b.value, self.derivative + b.derivative)

    def __mul__(self, other: Any) -> Dual:
        b = dual(other)
        return Dual(self.value * b.value, self.value * b.derivative + self.derivative * b.value)

    def __truediv__(self, other: Any) -> Dual:
        b = dual(other)
        quotient = self.value / b.value
        return Dual(quotient, (self.derivative - quotient * b.derivative) / b.value)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.derivative)

    def __sub__(self, other: Any) -> Dual:
        return self + -dual(other)

    def __rsub__(self, other: Any) -> Dual:
        return dual(other) - self

    def __rtruediv__(self, other: Any) -> Dual:
        return dual(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def sqrt(self) -> Dual:
        """The root; its derivative divides by twice the root."""
        root = np.sqrt(self.value) if isinstance(self.value, np.generic) else self.value.sqrt()
        return Dual(root, self.derivative / (root + root))


def dual(number: Any) -> Dual:
    """The number as a dual one; a plain number is a constant."""
    return number if isinstance(number, Dual) else Dual(number, 0 * number)


def constants(values: Any) -> Any:
    """An object array of constants, from an array of any numbers."""
    made = np.empty(values.shape, object)
    made.reshape(-1)[:] = [dual(v) for v in values.reshape(-1)]
    return made


def gradient(function: Callable[[Any], Any], at: Any) -> Any:
    """The gradient of a function with one value (in an array of any shape) by each element of an array of numbers."""
    found = np.empty(at.shape, object)
    for index in np.ndindex(at.shape):
        moved = constants(at)
        moved[index] = Dual(moved[index].value, moved[index].derivative + 1)
        found[index] = np.asarray(function(moved), object).reshape(-1)[0].derivative
    return found
