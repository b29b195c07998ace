"""Ways to form the outputs from the statistics: reciprocal roots, the affine map, the gradients, the running average.

Arrays are (channels, count), statistics and parameters (channels, 1), all in the working precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bnspec.arithmetic.quad import double, quad
from bnspec.conformance.selftest.soundness.moments import mean_of
from bnspec.conformance.selftest.soundness.reductions import Sum

Array = Any
Root = Callable[[Array, float], Array]
Update = Callable[[Array, Array, float], Array]


class Terms(NamedTuple):
    """What the forward pass is made of."""

    x: Array
    mean: Array
    inv_std: Array
    gamma: Array
    beta: Array


class Gradients(NamedTuple):
    """dx, and dgamma and dbeta of shape (channels, 1)."""

    dx: Array
    dgamma: Array
    dbeta: Array


Forward = Callable[[Terms], Array]
Backward = Callable[[Terms, Array, Sum], Gradients]

# --- 1 / sqrt(var + epsilon) ------------------------------------------------------------------------------------------


def root(var: Array, epsilon: float) -> Array:
    """A root and a quotient."""
    return 1 / np.sqrt(var + var.dtype.type(epsilon))


def newton(var: Array, epsilon: float) -> Array:
    """A start of 12 bits and Newton steps, as vector units do it."""
    total = var + var.dtype.type(epsilon)
    work = var.dtype.type
    y = _of_twelve_bits(1 / np.sqrt(total.astype(np.float64))).astype(var.dtype)
    for _ in range(1 if np.finfo(np.float32).bits >= 8 * var.dtype.itemsize else 3):
        y = y * (work(1.5) - (work(0.5) * total * y) * y)
    return y


def off_by_two(var: Array, epsilon: float) -> Array:
    """The reciprocal root two units in the last place too large, which fast intrinsics allow themselves."""
    exact = (1 / np.sqrt((var + var.dtype.type(epsilon)).astype(np.float64))).astype(var.dtype)
    up = np.asarray(np.inf, var.dtype)
    return np.nextafter(np.nextafter(exact, up), up)


def _of_twelve_bits(values: Array) -> Array:
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.round(fraction * 2.0**12) / 2.0**12, exponent)


# --- y ----------------------------------------------------------------------------------------------------------------


def direct(t: Terms) -> Array:
    """gamma ((x - mean) inv_std) + beta."""
    return (t.x - t.mean) * t.inv_std * t.gamma + t.beta


def scale_first(t: Terms) -> Array:
    """(x - mean) (gamma inv_std) + beta."""
    return (t.x - t.mean) * (t.gamma * t.inv_std) + t.beta


def folded(t: Terms) -> Array:
    """x a + b with a = gamma inv_std, b = beta - mean a."""
    a = t.gamma * t.inv_std
    return t.x * a + (t.beta - t.mean * a)


def folded_apart(t: Terms) -> Array:
    """x a + b with b = beta - (mean gamma) inv_std: a and b are rounded apart."""
    return t.x * (t.inv_std * t.gamma) + (t.beta - t.mean * t.gamma * t.inv_std)


def half_folded(t: Terms) -> Array:
    """gamma (x inv_std - mean inv_std) + beta."""
    return (t.x * t.inv_std - t.mean * t.inv_std) * t.gamma + t.beta


def fused(t: Terms) -> Array:
    """The folded form by fused multiply-adds, each rounded once."""
    a = t.gamma * t.inv_std
    return _fma(t.x, a, _fma(-t.mean, a, t.beta))


def _fma(a: Array, b: Array, c: Array) -> Array:
    if np.asarray(a).dtype == np.float64:
        return double(quad(a) * quad(b) + quad(c))
    wide = np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)
    return wide.astype(np.asarray(a).dtype)


# --- gradients in training --------------------------------------------------------------------------------------------


def textbook(t: Terms, dy: Array, total: Sum) -> Gradients:
    """gamma inv_std (dy - mean dy - zhat mean(dy zhat))."""
    z = (t.x - t.mean) * t.inv_std
    dx = t.gamma * t.inv_std * (dy - mean_of(dy, total) - z * mean_of(dy * z, total))
    return Gradients(dx, total(dy * z)[..., None], total(dy)[..., None])


def summed(t: Terms, dy: Array, total: Sum) -> Gradients:
    """gamma inv_std / m (m dy - sum dy - zhat sum(dy zhat)), as kernels write it."""
    m = t.x.dtype.type(t.x.shape[-1])
    z = (t.x - t.mean) * t.inv_std
    dgamma, dbeta = total(dy * z)[..., None], total(dy)[..., None]
    return Gradients(t.gamma * t.inv_std / m * (m * dy - dbeta - z * dgamma), dgamma, dbeta)


def affine_in_x(t: Terms, dy: Array, total: Sum) -> Gradients:
    """dx = a dy + b x + c, coefficients per channel, as fused kernels write it."""
    m = t.x.dtype.type(t.x.shape[-1])
    dot, dbeta = total(dy * (t.x - t.mean))[..., None], total(dy)[..., None]
    a = t.gamma * t.inv_std
    b = -(dot * t.inv_std * t.inv_std / m) * a
    c = -(b * t.mean) - dbeta * a / m
    return Gradients(a * dy + (b * t.x + c), dot * t.inv_std, dbeta)


def differentiated(t: Terms, dy: Array, total: Sum) -> Gradients:
    """Reverse mode on the decomposed graph: inv_std^3, and the mean's part in the variance, are really formed."""
    m, work = t.x.dtype.type(t.x.shape[-1]), t.x.dtype.type
    d, dz = t.x - t.mean, dy * t.gamma
    dvar = work(-0.5) * (t.inv_std * t.inv_std * t.inv_std) * total(dz * d)[..., None]
    dd = dz * t.inv_std + (work(2) * d) * (dvar / m)
    dx = dd - total(dd)[..., None] / m
    return Gradients(dx, total(dy * (d * t.inv_std))[..., None], total(dy)[..., None])


def differentiated_fold(t: Terms, dy: Array, total: Sum) -> Gradients:
    """Reverse mode on y = x a + b: sum dy x - mean sum dy."""
    m, work = t.x.dtype.type(t.x.shape[-1]), t.x.dtype.type
    dbeta = total(dy)[..., None]
    da = total(dy * t.x)[..., None] - t.mean * dbeta
    a = t.gamma * t.inv_std
    dvar = work(-0.5) * (t.inv_std * t.inv_std * t.inv_std) * (t.gamma * da)
    dx = dy * a + ((t.x - t.mean) * (work(2) * dvar / m) - a * dbeta / m)
    return Gradients(dx, t.inv_std * da, dbeta)


# --- gradients in inference -------------------------------------------------------------------------------------------


def constant_statistics(t: Terms, dy: Array, total: Sum) -> Gradients:
    """dy gamma inv_std, sum(dy zhat), sum dy."""
    z = (t.x - t.mean) * t.inv_std
    return Gradients(dy * t.gamma * t.inv_std, total(dy * z)[..., None], total(dy)[..., None])


def constant_statistics_folded(t: Terms, dy: Array, total: Sum) -> Gradients:
    """dy a, inv_std (sum dy x - mean sum dy), sum dy."""
    dbeta = total(dy)[..., None]
    da = total(dy * t.x)[..., None] - t.mean * dbeta
    return Gradients(dy * (t.gamma * t.inv_std), t.inv_std * da, dbeta)


# --- the running average ----------------------------------------------------------------------------------------------


def weighted(old: Array, new: Array, decay: float) -> Array:
    """decay old + (1 - decay) new."""
    kept = old.dtype.type(decay)
    return kept * old + (1 - kept) * new


def by_difference(old: Array, new: Array, decay: float) -> Array:
    """old + (1 - decay) (new - old)."""
    return old + old.dtype.type(1.0 - decay) * (new - old)
