"""Ball arithmetic, which certifies the oracle. A ball is a midpoint and a radius that enclose the exact value.

The equations run unchanged on object arrays of ``flint.arb``: every operation encloses its exact result, at a precision that
can be raised until the radius is small enough. Precision is global in the library, so one ladder of precisions runs at a time.

Source: Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import flint
import numpy as np

from bnspec.arithmetic.quad import Quad, double, quad
from bnspec.errors import HarnessError

Balls = Any  # an object array of flint.arb

#: Precisions in bits, used in turn. The last suffices for zeros too: every step of the equations stays below 2^4000 for doubles.
LADDER = (256, 1280, 6400)
#: A radius is small enough at 2^-10 of half a unit in the last place of a double, or at half the smallest double.
RELATIVE_BITS, ABSOLUTE_EXPONENT = 63, -1075
_PART = 40  # a midpoint is converted to quad precision in three parts of this many bits, each a double

_precision = threading.RLock()


def ball(values: Any) -> Balls:
    """The values as balls of radius 0.

    Args:
        values: array of any shape whose values are doubles (any of the four dtypes), or a Python number.
    """
    array = np.asarray(values, np.float64)
    made = np.empty(array.shape, object)
    made.reshape(-1)[:] = [flint.arb(v) for v in array.reshape(-1).tolist()]
    return made


def at_precision(bits: int, compute: Callable[[], Balls]) -> Balls:
    """The result of ``compute`` at a precision of this many bits."""
    with _precision, flint.ctx.workprec(bits):
        return compute()


def refined(compute: Callable[[], Balls]) -> Balls:
    """The result of ``compute`` at the lowest precision of the ladder that makes every radius small enough.

    Raises HarnessError: the highest precision does not suffice, for example because the exact result does not exist.
    """
    for bits in LADDER:
        balls = np.asarray(at_precision(bits, compute), object)
        if all(map(_is_narrow, balls.reshape(-1))):
            return balls
    raise HarnessError(
        f"the oracle does not settle at {LADDER[-1]} bits.",
        "a result of the equations is not determined by this case's arrays (a variance of 0 with epsilon 0, say).",
        "do not ask for it; the channels that raise this must be excluded before.",
    )


def midpoints(balls: Balls) -> Quad:
    """The midpoints, rounded to quad precision."""
    array = np.asarray(balls, object)
    if not array.size:
        return quad(np.zeros(array.shape))
    high, middle, low, exponent = np.array([_parts(b) for b in array.reshape(-1)]).T
    value = (quad(high) * 2.0**_PART + quad(middle)) * 2.0**_PART + quad(low)
    while exponent.any():  # powers of two in steps that are doubles: each product is exact
        step = np.clip(exponent, -1000, 1000)
        value, exponent = value * quad(np.exp2(step)), exponent - step
    return value.reshape(array.shape)


def contains(balls: Balls, values: Any) -> np.ndarray:
    """Whether each ball contains the corresponding double."""
    array = np.asarray(balls, object)
    found = [
        b.contains(flint.arb(v)) for b, v in zip(array.reshape(-1), double(values).reshape(-1).tolist(), strict=True)
    ]
    return np.array(found, bool).reshape(array.shape)


def _is_narrow(value: Any) -> bool:
    if value.rel_accuracy_bits() > RELATIVE_BITS:
        return True
    return bool(value.is_finite() and value.rad() < flint.arb((1, ABSOLUTE_EXPONENT)))


def _parts(value: Any) -> tuple[float, float, float, int]:
    """A midpoint, rounded to 3 PART bits, as (high 2^2PART + middle 2^PART + low) 2^exponent."""
    mantissa, exponent = map(int, value.mid().man_exp())
    surplus = mantissa.bit_length() - 3 * _PART
    if surplus > 0:
        mantissa, exponent = (mantissa + (1 << (surplus - 1))) >> surplus, exponent + surplus
    high, rest = divmod(mantissa, 1 << (2 * _PART))
    middle, low = divmod(rest, 1 << _PART)
    return float(high), float(middle), float(low), exponent
