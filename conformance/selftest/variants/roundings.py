"""Variants whose errors are not those of one rounding to nearest even, and have no direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.rounding import ties_away, to_odd

Array = Any


class TiesAwayFromZero(PlainLayer):
    """Rounds y and dx to nearest, and ties to the larger magnitude."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return ties_away(super().output(x.astype(np.float64), mean, inv_std), self.config.dtype)

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return ties_away(super().training_dx(dy.astype(np.float64), zhat, inv_std), self.config.dtype)


class RoundedTwice(PlainLayer):
    """Forms y in float64, rounds it to float32 and then to its dtype."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        return super().output(x.astype(np.float64), mean, inv_std).astype(self.work)


class RoundedToOddFirst(PlainLayer):
    """Forms y in float64, rounds it to odd in float32 and to nearest in its dtype: as good as one rounding."""

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        y = super().output(x.astype(np.float64), mean, inv_std)
        return to_odd(y, "float32") if self.config.dtype.endswith("16") else y


class ReciprocalRootOffBothWays(PlainLayer):
    """Takes a reciprocal root that is off by up to two units of roundoff, in a direction that its last bits decide."""

    def inv_std(self, var: Array) -> Array:
        exact = super().inv_std(var)
        bits = exact.view(np.uint64 if exact.itemsize == 8 else np.uint32).astype(np.uint64)
        mixed = (bits * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)  # 24 bits, evenly spread
        off = (mixed.astype(np.float64) / 2.0**23 - 1.0) * np.finfo(self.work).eps
        return (exact * (1.0 + off)).astype(self.work)


class VarianceOffBothWays(PlainLayer):
    """Stores running variances that are off by one unit in the last place, up in every other channel and down in the rest."""

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        new = super().new_var(old, var, count)
        up = np.arange(new.size).reshape(new.shape) % 2 == 0
        next_to_it = np.nextafter(new, np.where(up, np.inf, 0.0).astype(new.dtype))
        return np.where(np.isfinite(new), next_to_it, new)
