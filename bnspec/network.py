"""One step of gradient descent through Linear -> BN -> ReLU -> Linear, exactly, with a bound on what float32 makes of it.

A convolution is the same linear map on patches: x then has several rows for each sample, and what ReLU gives is averaged over
them. The loss is the mean cross-entropy of a softmax. With E_t the bound of a value t, and gamma_n as in ``bounds``:

    1. linear          h = x w + b          E_h = gamma_{k+1} (|x| |w| + |b|), k terms; E_x |w| more for an x in error
    2. normalisation   values in error move mean and variance:   mean: mean E_h;   variance: 2 std rms E_h + (rms E_h)^2
    3. ReLU            where |y| <= E_y the sign is open: a gradient there may be 0 or whole
    4. softmax         exp of arguments in error by d:  relative exp(d) - 1;  exponentials to 8 units, 10 terms
    5. backward        every product and sum again, with both factors in error; dx of the layer as ``bounds`` has it, and
                       linear in what its cotangent is in error by
    6. the update      w - rate g:           rate E_g + u (2 rate |g| + |w|)

Second-order terms are kept by evaluating each magnitude with its error added. Float32 only; the step is judged from the values
that it met, so that errors of earlier steps are not counted twice. The trajectory's own bound follows: what was observed
differs from the exact trajectory by at most the step's bound and what the exact step makes of the difference before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from bnspec import bounds
from bnspec import equations as eq
from bnspec.arithmetic import double, quad
from bnspec.contract import LayerConfig
from bnspec.facts import Batch, Cotangent, Normalisation
from bnspec.precision import Units

Array = np.ndarray
#: Roundings that an exponential or a logarithm may be off by.
EXPONENTIAL = 8.0
#: Room for evaluating values and bounds in float64, of 2^-29 times float32's roundings each.
ROOM = 1.0 + 2.0**-20


class Tracked(NamedTuple):
    """A value, and a bound on the error that float32 makes in it."""

    value: Array
    error: Array

    @property
    def reach(self) -> Array:
        """|value| + error."""
        return np.abs(self.value) + self.error


@dataclasses.dataclass(frozen=True)
class Descent:
    """The constants of the training: the layer's configuration for rows of shape (rows, C), its units, and the rate.

    ``correction``: of the running variance; ``rows``: rows of x for each sample.
    """

    config: LayerConfig
    units: Units
    rate: float
    correction: int
    rows: int = 1


def exact(value: Array) -> Tracked:
    """A value without error."""
    return Tracked(value, np.zeros_like(value))


def product(a: Tracked, b: Tracked, units: Units, more: float = 0.0) -> Tracked:
    """a @ b: shape (n, k) by (k, m)."""
    k = a.value.shape[-1]
    error = np.abs(a.value) @ b.error + a.error @ b.reach
    rounded = bounds.gamma(k + 1.0 + more, units.arithmetic) * (a.reach @ b.reach)
    return Tracked(a.value @ b.value, error + rounded)


def total(a: Tracked, units: Units) -> Tracked:
    """The sum over the first axis."""
    rounded = bounds.gamma(float(len(a.value)), units.arithmetic) * a.reach.sum(axis=0)
    return Tracked(a.value.sum(axis=0), a.error.sum(axis=0) + rounded)


def linear(x: Tracked, w: Array, b: Array, units: Units) -> Tracked:
    """x @ w + b."""
    z = product(x, exact(w), units, 1.0)
    return Tracked(z.value + b, z.error + bounds.gamma(2.0, units.arithmetic) * np.abs(b))


class Normalised(NamedTuple):
    """The layer's forward pass: y, and what the backward pass and the update need."""

    y: Tracked
    norm: Normalisation
    relative: Array
    zhat_error: Array
    statistics: bounds.StatisticsError


def normalised(h: Tracked, gamma: Array, beta: Array, descent: Descent) -> Normalised:
    """Batch normalization of rows in error."""
    units, batch = descent.units, Batch(descent.config, h.value)
    norm, axes = batch.normalisation, descent.config.reduce_axes
    own = bounds.statistics_error(batch, units, "lenient")
    std = np.sqrt(batch.var64)
    rms = np.sqrt(np.mean(h.error**2, axis=axes, keepdims=True))
    larger = (1.0 + h.error.max(axis=axes, keepdims=True) / np.minimum(std, batch.mean_abs)) ** 2
    mean = own.mean * larger + np.mean(h.error, axis=axes, keepdims=True)
    var = own.var * larger + 2.0 * std * rms + rms**2
    relative = bounds.inv_std_error(norm, var, units.arithmetic)
    zhat = bounds.normalised_error(norm, mean, relative, units.arithmetic) + h.error * norm.inv_std64 * (1.0 + relative)
    y = gamma * double(norm.zhat) + beta
    error = bounds.output_error(norm, np.abs(gamma), np.abs(beta), np.abs(y), zhat, units)
    return Normalised(Tracked(y, error), norm, relative, zhat, bounds.StatisticsError(mean, var))


def layer_gradients(
    forward: Normalised, gamma: Array, dy: Tracked, descent: Descent
) -> tuple[Tracked, Tracked, Tracked]:
    """dx, dgamma and dbeta for a cotangent in error; dx is linear in it."""
    norm, units, axes = forward.norm, descent.units, descent.config.reduce_axes
    cotangent = Cotangent(norm, dy.value)
    epsilon = descent.config.epsilon
    dx = double(eq.training_dx(norm.batch.x, cotangent.dy, quad(gamma), epsilon, axes))
    dgamma, dbeta = (double(g) for g in eq.parameter_gradients(norm.zhat, cotangent.dy, axes))
    own = bounds.training_gradient_error(
        cotangent, np.abs(gamma), np.abs(dx), forward.zhat_error, forward.relative, units, "lenient"
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        larger = 1.0 + np.nan_to_num(dy.error.max(axis=axes, keepdims=True) / cotangent.mean_abs, posinf=np.inf)
    z = norm.abs_z + forward.zhat_error
    moved_b = np.mean(dy.error * z, axis=axes, keepdims=True)
    moved = dy.error + np.mean(dy.error, axis=axes, keepdims=True) + z * moved_b
    factor = np.abs(gamma) * norm.inv_std64 * (1.0 + forward.relative) * (1.0 + bounds.gamma(8.0, units.arithmetic))
    return (
        Tracked(dx, own.dx * larger + factor * moved),
        Tracked(dgamma.reshape(-1), (own.dgamma * larger).reshape(-1) + (dy.error * z).sum(axis=axes)),
        Tracked(dbeta.reshape(-1), (own.dbeta * larger).reshape(-1) + dy.error.sum(axis=axes)),
    )


def cross_entropy(z: Tracked, labels: Array, units: Units) -> tuple[Tracked, Tracked]:
    """The mean loss, shape (), and its gradient by the logits z, shape (n, classes)."""
    u, n = units.arithmetic.unit_roundoff, len(labels)
    shifted = z.value - z.value.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    argument = 2.0 * z.error.max(axis=1, keepdims=True) + 2.0 * u * z.reach.max(axis=1, keepdims=True)
    # numerator and denominator are each off by this much, relatively, and the sum rounds
    one = np.expm1(argument) + EXPONENTIAL * u
    relative = 2.0 * one / (1.0 - one) + bounds.gamma(float(z.value.shape[1]) + 3.0, units.arithmetic)
    taken = np.arange(n), labels
    gradient = p.copy()
    gradient[taken] -= 1.0
    error = (p * relative + 2.0 * u) / n + bounds.gamma(3.0, units.arithmetic) * np.abs(gradient) / n
    losses = -np.log(p[taken])
    off = argument[:, 0] + relative[:, 0] + EXPONENTIAL * u * (1.0 + losses + np.abs(shifted).max(axis=1))
    loss_error = off.mean() + float(bounds.gamma(n + 1.0, units.arithmetic)) * (losses + off).mean()
    return Tracked(losses.mean(), np.asarray(loss_error)), Tracked(gradient / n, error)


def step(values: Mapping[str, Array], x: Array, labels: Array, descent: Descent) -> dict[str, Tracked]:
    """The values after one step, and the loss before it.

    Args:
        values: w1 (k, C), b1, gamma, beta, running_mean, running_var (C,), w2 (C, classes), b2 (classes,), float64.
        x: (samples * rows, k), float64; labels: (samples,), integers.
    """
    units, rows = descent.units, descent.rows
    h = linear(exact(x), values["w1"], values["b1"], units)
    gamma, beta = values["gamma"][None], values["beta"][None]
    forward = normalised(h, gamma, beta, descent)
    a = Tracked(np.maximum(forward.y.value, 0.0), forward.y.error)
    pooled = _pooled(a, rows, units)
    loss, dz = cross_entropy(linear(pooled, values["w2"], values["b2"], units), labels, units)
    da = product(dz, exact(values["w2"].T), units)
    spread = Tracked(
        np.repeat(da.value, rows, axis=0) / rows,
        np.repeat(da.error + bounds.gamma(2.0, units.arithmetic) * da.reach, rows, axis=0) / rows,
    )
    y = forward.y
    open_sign, positive = np.abs(y.value) <= y.error, y.value > 0.0
    dy = Tracked(spread.value * positive, np.where(open_sign, spread.reach, spread.error * positive))
    dh, dgamma, dbeta = layer_gradients(forward, gamma, dy, descent)
    gradients = {
        "w1": product(Tracked(x.T, np.zeros_like(x.T)), dh, units),
        "b1": total(dh, units),
        "gamma": dgamma,
        "beta": dbeta,
        "w2": product(Tracked(pooled.value.T, pooled.error.T), dz, units),
        "b2": total(dz, units),
    }
    after = {n: _descended(values[n], g, descent) for n, g in gradients.items()}
    after.update(_running(values, forward, descent))
    after["loss"] = loss
    return {n: Tracked(t.value, t.error * ROOM) for n, t in after.items()}


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
        ("running_mean", double(batch.mean), forward.statistics.mean),
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
