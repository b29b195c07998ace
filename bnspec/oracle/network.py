"""One exact step of gradient descent through Linear -> BN -> ReLU -> Linear, with a bound on the error of float32.

The same network without BN omits 2 and 5, and h is y.

A convolution is the same linear map on patches: x then has several rows per sample, and the output of ReLU is averaged over
them. The loss is the mean cross-entropy of a softmax. With E_t the bound of a value t, gamma_n as in ``bounds``, and in every
product the magnitudes |t| + E_t of both factors, so that second-order terms are kept:

    1. linear          h = x w + b          E_h = gamma_{k+2} (|x| |w| + |b|) + E_x |w|, k terms added in any order
    2. normalisation   the layer's input h is in error: mean moves by mean E_h, variance by 2 std rms E_h + (rms E_h)^2, zhat by E_h
                       inv_std besides. Its own errors as ``bounds`` has them, for statistics of an h that is off by E_h: the
                       sums that they are made of grow by a factor of at most (1 + 2 max E_h / min(std, mean |h|))^2
    3. ReLU            moves no further than y; where |y| <= E_y the sign is undetermined: a gradient there may be 0 or full
    4. softmax         numerator and denominator by an exponential of arguments in error by d: exp(d + 8 u) - 1 each, d holding
                       the logits' errors and the roundings of z, of z - max and of a logarithm of the sum, in any form
    5. backward        every product and sum again. dx of the layer: the bound of ``bounds`` for the exact cotangent and a zhat
                       in error, plus, since dx is linear in its cotangent, its image of E_dy:
                       |gamma| inv_std (E_dy + mean E_dy + |zhat| mean E_dy |zhat|), with its roundings
    6. the update      w - rate g:           rate E_g + u (2 rate (|g| + E_g) + |w|)

The exact values are evaluated in float64, whose own error is at most 2^-29 of the bound and is covered by ``room``. A step is
judged from its observed input values, so errors of earlier steps are not counted twice.

Known limitations: the bounds are worst cases, 10 to 10,000 times the error of roundings that cancel; convolutions by Winograd
or Fourier transforms are not covered, nor are products of rounded factors (TF32): adapters request full precision.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bnspec.bounds import batch_norm as bounds
from bnspec.equations import batch_norm as eq
from bnspec.exact.quantities import Batch, Cotangent, Normalisation
from bnspec.model.layer import LayerConfig
from bnspec.model.precision import PRECISIONS, Units

Array = np.ndarray
#: Allowed error of an exponential or a logarithm, in half units in the last place.
EXPONENTIAL = 8.0


class Tracked(NamedTuple):
    """A value, and a bound on its float32 error."""

    value: Array
    error: Array

    @property
    def reach(self) -> Array:
        """|value| + error."""
        return np.abs(self.value) + self.error


@dataclasses.dataclass(frozen=True)
class Descent:
    """The constants of the training: the layer's configuration for rows of shape (rows, C), its units, and the rate.

    ``correction``: of the running variance; ``rows``: rows of x for each sample; ``normalising_correction``: of the variance
    that normalises.
    """

    config: LayerConfig
    units: Units
    rate: float
    correction: int
    rows: int = 1
    normalising_correction: int = 0


class Rows(Batch):
    """A batch whose quantities are evaluated in float64."""

    @property
    def x(self) -> Array:
        """x as it is."""
        return self.given


class RowsCotangent(Cotangent):
    """A cotangent whose quantities are evaluated in float64."""

    @property
    def dy(self) -> Array:
        """dy as it is."""
        return self.given


def room(units: Units) -> float:
    """The widening of a bound for values and bounds evaluated in float64."""
    return 1.0 + 4.0 * PRECISIONS["float64"].unit_roundoff / units.arithmetic.unit_roundoff


def exact(value: Array) -> Tracked:
    """A value without error."""
    return Tracked(value, np.zeros_like(value))


def product(a: Tracked, b: Tracked, units: Units) -> Tracked:
    """a @ b: shape (n, k) by (k, m)."""
    k, p = float(a.value.shape[-1]), units.arithmetic
    error = np.abs(a.value) @ b.error + a.error @ b.reach
    rounded = bounds.gamma(k + 1.0, p) * (a.reach @ b.reach)
    return Tracked(a.value @ b.value, error + rounded + 2.0 * k * p.smallest)


def total(a: Tracked, units: Units) -> Tracked:
    """The sum over the first axis."""
    rounded = bounds.gamma(float(len(a.value)), units.arithmetic) * a.reach.sum(axis=0)
    return Tracked(a.value.sum(axis=0), a.error.sum(axis=0) + rounded)


def linear(x: Tracked, w: Array, b: Array, units: Units) -> Tracked:
    """x @ w + b; the sum may begin with b."""
    one = np.ones((len(x.value), 1))
    return product(Tracked(np.hstack([x.value, one]), np.hstack([x.error, 0.0 * one])), exact(np.vstack([w, b])), units)


class Normalised(NamedTuple):
    """The layer's forward pass: y, and the values needed by the backward pass and the update."""

    y: Tracked
    norm: Normalisation
    relative: Array
    zhat_error: Array
    statistics: bounds.StatisticsError


def normalised(h: Tracked, gamma: Array, beta: Array, descent: Descent) -> Normalised:
    """Batch normalization of rows in error."""
    units, batch = descent.units, Rows(descent.config, h.value)
    norm, axes = batch.normalisation(descent.normalising_correction), descent.config.reduce_axes
    own = bounds.statistics_error(batch, units, "lenient")
    std = np.sqrt(batch.var64)
    rms = np.sqrt(np.mean(h.error**2, axis=axes, keepdims=True))
    larger = (1.0 + 2.0 * h.error.max(axis=axes, keepdims=True) / np.minimum(std, batch.mean_abs)) ** 2
    mean = own.mean * larger + np.mean(h.error, axis=axes, keepdims=True)
    var = own.var * larger + 2.0 * std * rms + rms**2
    corrected = bounds.corrected_error(var, batch.var64, norm, units.statistics)
    relative = bounds.inv_std_error(norm, corrected, units.arithmetic)
    moved = h.error * norm.inv_std64 * (1.0 + relative) * (1.0 + bounds.gamma(8.0, units.arithmetic))
    zhat = bounds.normalised_error(norm, mean, relative, units.arithmetic) + moved
    y = gamma * norm.zhat + beta
    error = bounds.output_error(norm, np.abs(gamma), np.abs(beta), np.abs(y), zhat, units)
    return Normalised(Tracked(y, error), norm, relative, zhat, bounds.StatisticsError(mean, var))


def layer_gradients(
    forward: Normalised, gamma: Array, dy: Tracked, descent: Descent
) -> tuple[Tracked, Tracked, Tracked]:
    """dx, dgamma and dbeta for a cotangent in error; dx is linear in it."""
    norm, units, axes = forward.norm, descent.units, descent.config.reduce_axes
    cotangent, p = RowsCotangent(norm, dy.value), units.arithmetic
    dx = eq.training_dx(norm.batch.x, dy.value, gamma, descent.config.epsilon, axes, norm.correction)
    dgamma, dbeta = (g.reshape(-1) for g in eq.parameter_gradients(norm.zhat, dy.value, axes))
    own = bounds.training_gradient_error(
        cotangent, np.abs(gamma), np.abs(dx), forward.zhat_error, forward.relative, units, "lenient"
    )
    # the effect on dx of the error of dy: z and reach are the largest |zhat| and (|h| + |mean|) inv_std of an h in error
    n = float(norm.batch.count)
    z = norm.abs_z + forward.zhat_error
    reach = norm.reach * norm.inv_std64 * (1.0 + forward.relative) + forward.zhat_error
    a, b, c = (np.mean(dy.error * weight, axis=axes, keepdims=True) for weight in (1.0, z, reach))
    b, c = norm.factor * b, norm.factor * c
    moved = dy.error + a + z * b
    rounded = bounds.gamma(n + 7.0, p) * (dy.error + a + z * c + b * (1.0 + z + reach))
    factor = np.abs(gamma) * norm.inv_std64 * (1.0 + forward.relative) * (1.0 + bounds.gamma(8.0, p))
    larger = 1.0 + bounds.gamma(n + 7.0, p)
    by_error = (dy.error * (z + bounds.gamma(n + 7.0, p) * (z + reach))).sum(axis=axes)
    return (
        Tracked(dx, own.dx * larger + factor * (moved + rounded)),
        Tracked(dgamma, own.dgamma.reshape(-1) * larger + by_error),
        Tracked(dbeta, own.dbeta.reshape(-1) * larger + larger * dy.error.sum(axis=axes)),
    )


def cross_entropy(z: Tracked, labels: Array, units: Units) -> tuple[Tracked, Tracked]:
    """The mean loss, shape (), and its gradient with respect to the logits z, shape (n, classes)."""
    p, u, n = units.arithmetic, units.arithmetic.unit_roundoff, len(labels)
    shifted = z.value - z.value.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    probability = exponentials / exponentials.sum(axis=1, keepdims=True)
    # z, z - max, z - max - log(sum), and the logarithm itself without a shift: 2 + 2 + 8 roundings of |z|
    argument = 2.0 * z.error.max(axis=1, keepdims=True) + (4.0 + EXPONENTIAL) * u * z.reach.max(axis=1, keepdims=True)
    one, classes = np.expm1(argument + EXPONENTIAL * u), z.value.shape[1]
    own = bounds.gamma(classes + 3.0 + (1.0 + EXPONENTIAL) * (1.0 + math.log(classes)), p)
    known = one < 1.0
    relative = np.where(known, (1.0 + one) / np.where(known, 1.0 - one, 1.0) * (1.0 + own) - 1.0, math.inf)
    taken = np.arange(n), labels
    gradient = probability.copy()
    gradient[taken] -= 1.0
    larger = 1.0 + bounds.gamma(4.0, p)
    error = ((probability * relative + 4.0 * u) * larger + bounds.gamma(4.0, p) * np.abs(gradient)) / n
    losses = -np.log(probability[taken])
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.where(relative < 1.0, -np.log1p(-relative), math.inf)[:, 0] + EXPONENTIAL * u * (1.0 + losses)
    loss_error = off.mean() + float(bounds.gamma(n + 1.0, p)) * (losses + off).mean()
    return Tracked(losses.mean(), np.asarray(loss_error)), Tracked(gradient / n, error)


def step(values: Mapping[str, Array], x: Array, labels: Array, descent: Descent) -> dict[str, Tracked]:
    """The values after one step, and the loss before it.

        values' = values - rate * gradient of the mean cross-entropy;   running' = decay * running + (1 - decay) * batch

    Args:
        values: w1 (k, C), b1, gamma, beta, running_mean, running_var (C,), w2 (C, classes), b2 (classes,), float64; without
            gamma, beta and the statistics: the network without BN.
        x: (samples * rows, k), float64; labels: (samples,), integers.
    """
    units, rows = descent.units, descent.rows
    h = linear(exact(x), values["w1"], values["b1"], units)
    forward = None
    if "gamma" in values:
        forward = normalised(h, values["gamma"][None], values["beta"][None], descent)
    y = h if forward is None else forward.y
    a = Tracked(np.maximum(y.value, 0.0), y.error)
    pooled = _pooled(a, rows, units)
    loss, dz = cross_entropy(linear(pooled, values["w2"], values["b2"], units), labels, units)
    da = product(dz, exact(values["w2"].T), units)
    spread = Tracked(
        np.repeat(da.value, rows, axis=0) / rows,
        np.repeat(da.error + bounds.gamma(2.0, units.arithmetic) * da.reach, rows, axis=0) / rows,
    )
    open_sign, positive = np.abs(y.value) <= y.error, y.value > 0.0
    dy = Tracked(spread.value * positive, np.where(open_sign, spread.reach, spread.error * positive))
    dh, inside = dy, {}
    if forward is not None:
        dh, *parameters = layer_gradients(forward, values["gamma"][None], dy, descent)
        inside = dict(zip(("gamma", "beta"), parameters, strict=True))
    gradients = {
        "w1": product(Tracked(x.T, np.zeros_like(x.T)), dh, units),
        "b1": total(dh, units),
        **inside,
        "w2": product(Tracked(pooled.value.T, pooled.error.T), dz, units),
        "b2": total(dz, units),
    }
    after = {n: _descended(values[n], g, descent) for n, g in gradients.items()}
    if forward is not None:
        after.update(_running(values, forward, descent))
    after["loss"] = loss
    return {n: Tracked(t.value, t.error * room(units)) for n, t in after.items()}


def _pooled(a: Tracked, rows: int, units: Units) -> Tracked:
    """The mean over each sample's rows."""
    if rows == 1:
        return a
    value, reach, error = (v.reshape(-1, rows, v.shape[1]) for v in (a.value, a.reach, a.error))
    rounded = bounds.gamma(rows + 1.0, units.arithmetic) * reach.mean(axis=1)
    return Tracked(value.mean(axis=1), error.mean(axis=1) + rounded)


def _descended(old: Array, gradient: Tracked, descent: Descent) -> Tracked:
    u, rate = descent.units.arithmetic.unit_roundoff, descent.rate
    new = old - rate * gradient.value
    return Tracked(new, (rate * gradient.error + u * (2.0 * rate * gradient.reach + np.abs(new))) * (1.0 + 2.0 * u))


def _running(values: Mapping[str, Array], forward: Normalised, descent: Descent) -> dict[str, Tracked]:
    batch, decay, units = forward.norm.batch, descent.config.decay, descent.units
    factor = batch.count / (batch.count - descent.correction)
    found = {}
    for name, now, error in (
        ("running_mean", batch.mean, forward.statistics.mean),
        ("running_var", batch.var64 * factor, forward.statistics.var * factor),
    ):
        old = values[name][None]
        bound = bounds.running_error(np.abs(old), np.abs(now), error, decay, units)
        found[name] = Tracked((decay * old + (1.0 - decay) * now).reshape(-1), bound.reshape(-1))
    return found


def patches(images: Array, size: int = 3) -> Array:
    """The patches of images of shape (n, height, width, channels), as rows (n * positions, size * size * channels)."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return np.moveaxis(windows, 3, -1).reshape(-1, size * size * images.shape[-1])
