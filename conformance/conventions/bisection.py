"""Bisection for a number, given only whether each candidate explains the observations."""

from __future__ import annotations

import math
from collections.abc import Callable

#: Halvings of an interval of a factor 2: the resolution of float64.
HALVINGS = 52


def located(explains: Callable[[float], bool], guess: float) -> tuple[float, float] | None:
    """The interval around ``guess`` of numbers that explain the observations; None if the guess does not.

    Bisection between the guess and half of it, and between the guess and twice it, finds the ends; both ends explain.
    """
    if not (math.isfinite(guess) and guess > 0.0 and explains(guess)):
        return None
    return _end(explains, guess, guess / 2.0), _end(explains, guess, guess * 2.0)


def shortest(interval: tuple[float, float]) -> float:
    """The number with the fewest decimal digits in the interval."""
    low, high = interval
    middle = low + (high - low) / 2.0
    candidates = (float(f"{middle:.{digits}e}") for digits in range(17))
    return next((t for t in candidates if low <= t <= high), middle)


def _end(explains: Callable[[float], bool], inside: float, outside: float) -> float:
    """The outermost number between inside and outside that explains the observations."""
    if explains(outside):
        return outside
    for _ in range(HALVINGS):
        middle = inside + (outside - inside) / 2.0
        if middle in (inside, outside):
            break
        inside, outside = (middle, outside) if explains(middle) else (inside, middle)
    return inside
