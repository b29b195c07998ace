"""Arrays as products of uniform draws: values for which a case says how they are drawn, so that a script can draw them again.

NumPy's ``RandomState`` has frozen streams: a seed gives the same values in every version.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np

#: What a factor may be: a power up to this, and bounds of at most this magnitude; and how many there may be.
POWERS, LARGEST, FACTORS = 8, 1e6, 8


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
        text = f"np.random.RandomState({self.seed}).uniform({self.low!r}, {self.high!r}, {self.shape})"
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
    """The factors of an array as a case's origin has them; none where it says nothing of the array that could be drawn."""
    draws = origin.get("draws")
    listed = draws.get(name) if isinstance(draws, dict) else None
    factors = [_factor(f) for f in listed[: FACTORS + 1]] if isinstance(listed, (list, tuple)) else []
    if len(factors) > FACTORS:
        return ()
    return tuple(f for f in factors if f is not None) if None not in factors else ()


def _factor(listed: Any) -> Optional[Uniform]:
    """A factor as JSON has it; None where it is none: whoever wrote the case may have written anything."""
    if not isinstance(listed, (list, tuple)) or len(listed) != 5:
        return None
    seed, low, high, shape, power = listed
    whole = [seed, power, *shape] if isinstance(shape, (list, tuple)) else [None]
    if not all(type(n) is int and n >= 0 for n in whole) or seed >= 2**32 or not 1 <= power <= POWERS:
        return None
    if not all(type(n) in (int, float) and abs(n) <= LARGEST for n in (low, high)) or low > high:
        return None
    return Uniform(seed, float(low), float(high), tuple(shape), power)
