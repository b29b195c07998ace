"""Third derivatives: the gradient by x of sum(v u), where u is the gradient by x of <v, dx>.

Along x + t v the result is the second derivative of <dy, y> by t, and this is its gradient. The same arithmetics and shapes as
``equations``. With S(a) = sum(a) / (m - correction), w = v - mean(v), s = inv_std, and the invariants of the channel

    A = sum(dy zhat)     B = s sum(dy w)     P = s S(w zhat)     R = s^2 S(w^2)

    d^2/dt^2 <dy, y> = gamma (A (3 P^2 - R) - 2 B P)

since var moves by 2 t S(a w) + t^2 S(w^2) for a = x - mean. The gradients of the invariants, s moving by -s^2 zhat / (m - correction):

    grad A = s (dy - mean(dy) - zhat S(dy zhat))              grad B = -s zhat B / (m - correction)
    grad P = s (s w - 2 zhat P) / (m - correction)            grad R = -2 s zhat R / (m - correction)

Source: the chain rule on Ioffe and Szegedy 2015, section 3.
"""

from __future__ import annotations

import numpy as np

from bnspec.equations.batch_norm import Array, Axes, batch_statistics, corrected_mean, inv_std, normalise


def training_third_order(
    x: Array, dy: Array, v: Array, gamma: Array, epsilon: float, axes: Axes, correction: int = 0
) -> Array:
    """gamma (grad A (3 P^2 - R) + A (6 P grad P - grad R) - 2 P grad B - 2 B grad P), shaped like x."""
    mean, var = batch_statistics(x, axes, correction)
    s, zhat = inv_std(var, epsilon), normalise(x, mean, var, epsilon)

    def total(values: Array) -> Array:
        return np.sum(values, axis=axes, keepdims=True)

    def average(values: Array) -> Array:
        return corrected_mean(values, axes, correction)

    w = v - np.mean(v, axis=axes, keepdims=True)
    share = average(0 * x + 1) / total(0 * x + 1)  # 1 / (m - correction)
    a, b, p, r = total(dy * zhat), s * total(dy * w), s * average(w * zhat), s * s * average(w * w)
    by_a = s * (dy - np.mean(dy, axis=axes, keepdims=True) - zhat * average(dy * zhat))
    by_b = -s * zhat * b * share
    by_p = s * (s * w - 2 * zhat * p) * share
    by_r = -2 * s * zhat * r * share
    return gamma * (by_a * (3 * p * p - r) + a * (6 * p * by_p - by_r) - 2 * p * by_b - 2 * b * by_p)
