"""A second, independent oracle: Python integers and rationals, with one high-precision square root at the end.

It knows no NumPy, no axes and no broadcasting: a channel is a list of floats. Floats are dyadic: over a common power of two they
are integers, so that sums and sums of squares are exact and fast. Every output is a rational number times a power of
1 / sqrt(var + epsilon), plus a rational one; the root alone is rounded, to 2^-BITS relative, and not where it is rational.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

BITS = 400


def reciprocal_root(value: Fraction) -> Fraction:
    """1 / sqrt(value): exactly where that is rational, otherwise to within 2^-BITS relative."""
    top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if top * top == value.numerator and bottom * bottom == value.denominator:
        return Fraction(bottom, top)
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    shift = 2 * BITS + 2 * abs(exponent)
    return Fraction(1 << (shift // 2), math.isqrt((value.numerator << shift) // value.denominator))


class Integers:
    """Floats over one power of two: values[i] = numbers[i] / 2^shift."""

    def __init__(self, values: Iterable[float]) -> None:
        ratios = [v.as_integer_ratio() for v in values]
        self.shift = max((d.bit_length() - 1 for _, d in ratios), default=0)
        self.numbers = [n << (self.shift - d.bit_length() + 1) for n, d in ratios]

    def over(self, number: int, powers: int = 1) -> Fraction:
        """number / 2^(shift * powers)."""
        return Fraction(number, 1 << (self.shift * powers))


class Channel:
    """One channel of a batch, exactly: x and dy, its values and cotangents; gamma, beta, epsilon as usual."""

    def __init__(self, x: Sequence[float], dy: Sequence[float], gamma: float, beta: float, epsilon: float) -> None:
        self.x, self.dy, self.count = Integers(x), Integers(dy), len(x)
        self.gamma, self.beta, self.epsilon = Fraction(gamma), Fraction(beta), Fraction(epsilon)
        self.sum_x, self.sum_dy = sum(self.x.numbers), sum(self.dy.numbers)

    @property
    def mean(self) -> Fraction:
        """The mean, as a fraction."""
        return self.x.over(self.sum_x) / self.count

    @functools.cached_property
    def var(self) -> Fraction:
        """The population variance by E[x^2] - E[x]^2, which is exact in integers."""
        squares = sum(v * v for v in self.x.numbers)
        return self.x.over(self.count * squares - self.sum_x**2, 2) / self.count**2

    @functools.cached_property
    def products(self) -> Fraction:
        """The sum of dy * x."""
        total = sum(g * v for g, v in zip(self.dy.numbers, self.x.numbers, strict=True))
        return Fraction(total, 1 << (self.x.shift + self.dy.shift))

    def affinely(self, slope: Fraction, offset: Fraction) -> list[Fraction]:
        """slope * x + offset for each value."""
        slope = self.x.over(slope.numerator) / slope.denominator
        return [slope * v + offset for v in self.x.numbers]

    def outputs(self, mean: Fraction, var: Fraction) -> list[Fraction]:
        """y for given statistics."""
        slope = self.gamma * reciprocal_root(var + self.epsilon)
        return self.affinely(slope, self.beta - mean * slope)

    def parameter_gradients(self, mean: Fraction, var: Fraction) -> tuple[Fraction, Fraction]:
        """dgamma and dbeta; the root is factored out of dgamma."""
        dbeta = self.dy.over(self.sum_dy)
        return (self.products - mean * dbeta) * reciprocal_root(var + self.epsilon), dbeta

    def corrected(self, correction: int) -> Fraction:
        """The variance with the divisor count - correction."""
        return self.var * self.count / (self.count - correction)

    def training_dx(self, correction: int = 0) -> list[Fraction]:
        """dx by the chain rule over mean and variance as separate nodes, not by the closed formula; the root is factored out.

        With c the correction and root^2 = 1 / (var + epsilon), rational:  dz = gamma dy,
        dvar = -(1/2) root^3 sum dz (x - mean),  dmean = -root sum dz,  dx = root dz + dvar 2 (x - mean) / (m - c) + dmean / m.
        """
        m, mean, var = self.count, self.mean, self.corrected(correction)
        root, sum_dz = reciprocal_root(var + self.epsilon), self.gamma * self.dy.over(self.sum_dy)
        dvar = -self.gamma * (self.products - mean * self.dy.over(self.sum_dy)) / (2 * (var + self.epsilon))
        slope, offset = dvar * 2 / (m - correction), -sum_dz / m
        rational = [self.gamma * self.dy.over(g) for g in self.dy.numbers]
        return [root * (r + v) for r, v in zip(rational, self.affinely(slope, offset - mean * slope), strict=True)]

    def inference_dx(self, var: Fraction) -> list[Fraction]:
        """dx for given statistics."""
        factor = self.gamma * reciprocal_root(var + self.epsilon)
        return [factor * self.dy.over(g) for g in self.dy.numbers]

    def running(self, old: float, batch: Fraction, decay: float) -> Fraction:
        """A running statistic after one step."""
        return Fraction(decay) * Fraction(old) + (1 - Fraction(decay)) * batch


def rounded(exact: Fraction) -> float:
    """The nearest double; infinite beyond their range."""
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def ulps(got: float, exact: Fraction) -> float:
    """How many units in the last place of the exact value, rounded to double, lie between it and a double."""
    double = rounded(exact)
    if not (math.isfinite(got) and math.isfinite(double)):
        return 0.0 if got == double else math.inf
    return float(abs(Fraction(got) - exact) / Fraction(math.ulp(double)))
