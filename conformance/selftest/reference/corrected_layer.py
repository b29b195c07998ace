"""The full reference layer with the divisor count - 1 in the variance that normalises, and in everything derived from it."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from bnspec.conformance.selftest.reference.full_layer import FullLayer

Array = Any


class CorrectedLayer(FullLayer):
    """Normalises by sum (x - mean)^2 / (count - 1); one value per channel gives NaN."""

    declares: Dict[str, Any] = {**FullLayer.declares, "normalising_correction": 1}

    def normalising(self, mean: Array, count: int) -> Array:
        """A mean of squares or products of deviations, with the divisor count - 1."""
        return mean * self.work.type(count / (count - 1) if count > 1 else float("nan"))

    def corrected_average(self, products: Array) -> Array:
        """Their sum over count - 1."""
        return self.normalising(self.average(products), self.count(products))

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        mean, var = super().training_statistics(x)
        return mean, self.normalising(var, self.count(x))

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        return self.gamma() * inv_std * self.project(dy, zhat)

    def project(self, v: Array, zhat: Array) -> Array:
        return v - self.average(v) - zhat * self.corrected_average(v * zhat)

    def through_root(self, dy: Array, v: Array, zhat: Array) -> Array:
        return zhat * self.corrected_average(v * self.project(dy, zhat))

    def through_values(self, dy: Array, v: Array, zhat: Array) -> Array:
        first, second = self.corrected_average(dy * zhat), self.corrected_average(v * zhat)
        return first * self.project(v, zhat) + second * self.project(dy, zhat)

    def invariants(self, dy: Array, w: Array, zhat: Array, s: Array) -> Any:
        a, b, p, r = super().invariants(dy, w, zhat, s)
        return a, b, self.normalising(p, self.count(dy)), self.normalising(r, self.count(dy))

    def moving_root(self, dy: Array, w: Array, zhat: Array, s: Array) -> Any:
        return tuple(self.normalising(g, self.count(dy)) for g in super().moving_root(dy, w, zhat, s))

    def root_along(self, moved: Array, centred: Array, inv_std: Array) -> Array:
        return -(inv_std**3) * self.corrected_average(moved * centred)

    def masked_dx(self, dy: Array, zhat: Array, inv_std: Array, mask: Array) -> Array:
        products = self.normalising(self.kept_average(dy * zhat, mask), self.kept(dy, mask))
        left = dy - self.kept_average(dy, mask) - zhat * products
        return self.cleaned(self.gamma() * inv_std * left, mask)
