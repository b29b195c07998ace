"""Arrays as products of uniform draws: values for which a case says how they are drawn, so that a script can draw them again.

NumPy's ``RandomState`` has frozen streams: a seed gives the same values in every version.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence, Tuple

import numpy as np


class Uniform(NamedTuple):
    """One factor: uniform draws from low to high, of a shape that broadcasts, to a power."""

    seed: int
    low: float
    high: float
    shape: Tuple[int, ...]
    power: int = 1

    def values(self) -> np.ndarray:
        """The factor, float64."""
        values = np.random.RandomState(self.seed).uniform(self.low, self.high, self.shape)
        return np.asarray(values if self.power == 1 else values**self.power)

    def expression(self) -> str:
        """The factor in NumPy's words."""
        text = f"np.random.RandomState({self.seed}).uniform({self.low:g}, {self.high:g}, {self.shape})"
        return text if self.power == 1 else f"{text} ** {self.power}"


def product(factors: Sequence[Uniform]) -> np.ndarray:
    """The product of the factors, from left to right, float64."""
    values = factors[0].values()
    for factor in factors[1:]:
        values = values * factor.values()
    return values


def product_expression(factors: Sequence[Uniform]) -> str:
    """The product in NumPy's words."""
    return " * ".join(f.expression() for f in factors)


def recorded_draws(origin: Any, name: str) -> Tuple[Uniform, ...]:
    """The factors of an array as a case's origin has them; none where it says nothing of the array."""
    factors = origin.get("draws", {}).get(name, ())
    return tuple(Uniform(int(s), float(a), float(b), tuple(map(int, shape)), int(p)) for s, a, b, shape, p in factors)
