"""A second oracle, written apart from the first: plain Python, exact rationals, one high-precision square root at the end.

It knows no NumPy, no axes and no broadcasting: one channel is a list of exact values. Rationals are exact, so sums, means and
squares are; only 1 / sqrt(var + epsilon) is rounded, to 2^-400 relative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

BITS = 400


def reciprocal_root(value: Fraction) -> Fraction:
    """1 / sqrt(value), to within 2^-BITS relative."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    shift = 2 * BITS + 2 * abs(exponent)
    root = math.isqrt((value.numerator << shift) // value.denominator)
    return Fraction(1 << (shift // 2), root)


@dataclass(frozen=True)
class Channel:
    """One channel of a batch, exactly.

    Attributes:
        x, dy: the channel's values and cotangents.
        gamma, beta, epsilon: as usual.
    """

    x: list[Fraction]
    dy: list[Fraction]
    gamma: Fraction
    beta: Fraction
    epsilon: Fraction

    @property
    def mean(self) -> Fraction:
        """The mean, as a fraction."""
        return sum(self.x, Fraction(0)) / len(self.x)

    @property
    def var(self) -> Fraction:
        """The population variance by E[x^2] - E[x]^2, which is exact in rationals."""
        return sum((v * v for v in self.x), Fraction(0)) / len(self.x) - self.mean**2

    def normalised(self, mean: Fraction, var: Fraction) -> list[Fraction]:
        """zhat for given statistics."""
        root = reciprocal_root(var + self.epsilon)
        return [(v - mean) * root for v in self.x]

    def outputs(self, mean: Fraction, var: Fraction) -> list[Fraction]:
        """y for given statistics."""
        return [self.gamma * z + self.beta for z in self.normalised(mean, var)]

    def parameter_gradients(self, mean: Fraction, var: Fraction) -> tuple[Fraction, Fraction]:
        """dgamma and dbeta."""
        zhat = self.normalised(mean, var)
        return sum((g * z for g, z in zip(self.dy, zhat, strict=True)), Fraction(0)), sum(self.dy, Fraction(0))

    def training_dx(self) -> list[Fraction]:
        """dx by the chain rule over mean and variance as separate nodes, not by the closed formula."""
        m, mean, var = len(self.x), self.mean, self.var
        root = reciprocal_root(var + self.epsilon)
        dz = [self.gamma * g for g in self.dy]
        dvar = sum((d * (v - mean) for d, v in zip(dz, self.x, strict=True)), Fraction(0)) * root**3 / -2
        dmean = -root * sum(dz, Fraction(0))
        return [d * root + dvar * 2 * (v - mean) / m + dmean / m for d, v in zip(dz, self.x, strict=True)]
