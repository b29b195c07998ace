"""The numbered input types: distributions of x, and the purpose of each.

Values come from NumPy's ``RandomState``, whose streams are frozen: a seed gives the same values in every version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bnspec.model.buffers import dtype_of
from bnspec.model.layer import LayerConfig
from bnspec.model.precision import PRECISIONS

Array = np.ndarray
Draw = Callable[[np.random.RandomState, LayerConfig, tuple[int, ...]], Array]
#: Powers of ten by dtype: of values whose squares vanish, and which still are normal numbers.
TINY: dict[str, float] = {"float64": -120, "float32": -15, "bfloat16": -15, "float16": -4}


@dataclass(frozen=True)
class InputType:
    """One way to fill x; ``draw`` gives float64 values that are then rounded to x's dtype."""

    number: int
    name: str
    purpose: str
    draw: Draw


def _noise(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape)


def _per_channel(config: LayerConfig, values: Array) -> Array:
    return np.asarray(values, np.float64).reshape(config.channel_shape)


def _located(mean: float, std: float) -> Draw:
    """Channels around ``mean`` with spread ``std``, different per channel, with alternating signs."""

    def draw(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
        c = np.arange(config.channels)
        sign = np.where(c % 2 == 0, 1.0, -1.0)
        means = _per_channel(config, sign * mean * (1.0 + 0.375 * ((c * 5) % 7)))
        stds = _per_channel(config, std * (1.0 + 0.5 * ((c * 3) % 5)))
        return means + stds * _noise(rng, config, shape)

    return draw


def _of_epsilon(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    std = np.sqrt(max(config.epsilon, 2.0**-60))
    return _located(std, std)(rng, config, shape)


def _constant(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    x = _located(2.0, 1.0)(rng, config, shape)
    level = _per_channel(config, 0.1 + np.arange(config.channels))
    odd = _per_channel(config, np.arange(config.channels) % 2 == 0).astype(bool)
    return np.where(odd, level, x)


def _near_constant(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    step = 4.0 * PRECISIONS[config.dtype].unit_roundoff
    return _per_channel(config, 1.0 + np.arange(config.channels)) * (1.0 + step * rng.randint(0, 4, shape))


def _scaled(exponent: dict[str, float]) -> Draw:
    def draw(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
        return _located(1.0, 1.0)(rng, config, shape) * 10.0 ** exponent[config.dtype]

    return draw


def _subnormal(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape) * PRECISIONS[config.dtype].smallest * 0.25


def _exact(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    return rng.randint(-4, 5, shape).astype(np.float64) + _per_channel(config, 2.0 * np.arange(config.channels))


def _outlier(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    x = _located(0.5, 1.0)(rng, config, shape)
    first = tuple(slice(None) if a == config.channel_axis else slice(0, 1) for a in range(config.rank))
    x[first] *= 1000.0
    return x


def _sorted(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    x = np.moveaxis(_located(8.0, 2.0)(rng, config, shape), config.channel_axis, 0)
    ordered = np.sort(x.reshape(config.channels, -1), axis=1).reshape(x.shape)
    return np.moveaxis(ordered, 0, config.channel_axis)


def _plane_ends(config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """1 at the last three positions of each plane, for rank 2 of the batch; else 0: what a loop in steps of four may lose."""
    ends = np.zeros(shape)
    axes = config.reduce_axes[1:] or config.reduce_axes
    last = {a: slice(-1, None) for a in axes} | {axes[-1]: slice(-3, None)}
    ends[tuple(last.get(a, slice(None)) for a in range(len(shape)))] = 1.0
    return ends


def _tail(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """The last values of each plane lie 64 above the others: without them, mean and variance are others, even of large planes."""
    return _located(1.0, 1.0)(rng, config, shape) + 64.0 * _plane_ends(config, shape)


def _poisoned(value: float) -> Draw:
    """One channel contains ``value`` once; the others are ordinary."""

    def draw(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
        x = _located(1.0, 1.0)(rng, config, shape)
        if x.size:
            where = [int(rng.randint(n)) for n in shape]
            where[config.channel_axis] = config.channels // 2
            x[tuple(where)] = value
        return x

    return draw


def _negative(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    return -0.5 - np.abs(_located(1.0, 1.0)(rng, config, shape))


def _rectified(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """What a rectifier leaves: zeros for the most part, and nothing else in every third channel."""
    dead = _per_channel(config, np.arange(config.channels) % 3 == 1).astype(bool)
    return np.where(dead, 0.0, np.maximum(_located(0.25, 1.0)(rng, config, shape) - 0.75, 0.0))


def _specials(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """In the first channel an infinity below 0, in the last one two infinities and a NaN; the others are ordinary."""
    x = np.moveaxis(_located(1.0, 1.0)(rng, config, shape), config.channel_axis, 0)
    lanes = x.reshape(config.channels, -1).copy()
    if lanes.size:
        lanes[0, :1] = -np.inf
        if config.channels > 1:
            lanes[-1, :3] = (np.inf, np.nan, -np.inf)[: lanes.shape[1]]
    return np.moveaxis(lanes.reshape(x.shape), 0, config.channel_axis)


def _pixels(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    return rng.randint(0, 256, shape).astype(np.float64)


def _signs(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """1 and -1 in turn along the batch."""
    axis = config.reduce_axes[0]
    turn = np.where(np.arange(shape[axis]) % 2 == 0, 1.0, -1.0)
    return np.broadcast_to(turn.reshape([-1 if a == axis else 1 for a in range(len(shape))]), shape).copy()


def _mixed_scales(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """Each channel on its own scale, from 2^-12 to 2^12."""
    scale = np.ldexp(1.0, (np.arange(config.channels) * 7) % 25 - 12)
    return _located(1.0, 1.0)(rng, config, shape) * _per_channel(config, scale)


def _spike(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """All elements of a channel equal, except one that differs by 1."""
    x = np.broadcast_to(_per_channel(config, 2.0 + np.arange(config.channels)), shape).copy()
    if x.size:
        where = tuple(slice(None) if a == config.channel_axis else int(rng.randint(n)) for a, n in enumerate(shape))
        x[where] += 1.0
    return x


def _bimodal(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """Two clusters 64 of their spreads apart: the first half of the batch in one, the rest in the other."""
    x = _noise(rng, config, shape)
    first = tuple(slice(0, (n + 1) // 2) if a == config.reduce_axes[0] else slice(None) for a, n in enumerate(shape))
    x[first] += 64.0
    return x


def _alternating(rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    signs = np.where(np.arange(int(np.prod(shape))) % 2 == 0, 1.0, -1.0).reshape(shape)
    return _per_channel(config, 3.0 + np.arange(config.channels)) + signs * _per_channel(
        config, 0.25 * (1.0 + np.arange(config.channels))
    )


INPUT_TYPES = tuple(
    InputType(number, name, purpose, draw)
    for number, (name, purpose, draw) in enumerate(
        (
            ("ordinary", "well-conditioned data, every channel with its own mean and spread", _located(1.0, 1.0)),
            ("mean_1e2", "a mean of 100 standard deviations: half precision loses digits", _located(1e2, 1.0)),
            ("mean_1e4", "a mean of 10,000 standard deviations: E[x^2] - E[x]^2 loses all float32 digits", _located(1e4, 1.0)),
            ("mean_1e6", "a mean of 1,000,000 standard deviations: the limit of stable float32 algorithms", _located(1e6, 1.0)),
            ("narrow", "a spread of 1/30: variance is not a fixed point of its inverse", _located(0.3, 1.0 / 30.0)),
            ("wide", "a spread of 30: the same from the other side", _located(20.0, 30.0)),
            ("like_epsilon", "a variance of the size of epsilon: where and which epsilon is added", _of_epsilon),
            ("constant", "every other channel constant: variance 0, only epsilon divides", _constant),
            ("near_constant", "a few units in the last place around a level: cancellation at its worst", _near_constant),
            ("huge", "values near the root of the range: squares just fit", _scaled(dict(float64=120, float32=15, bfloat16=15, float16=2))),
            ("tiny", "values whose variance vanishes against epsilon", _scaled(TINY)),
            ("subnormal", "values below the normal range: flushing to zero is allowed, garbage is not", _subnormal),
            ("exact", "small integers: sums and means are exact in every precision", _exact),
            ("outlier", "the first value of each channel 1,000 times the others", _outlier),
            ("sorted", "ascending values: the worst order for running sums", _sorted),
            ("nan", "one NaN in one channel: the others must not see it", _poisoned(np.nan)),
            ("infinite", "one infinity in one channel: the others must not see it", _poisoned(np.inf)),
            ("pixels", "whole numbers 0 to 255, as images come", _pixels),
            ("alternating", "two values per channel: variance known by heart, rounding of one sign", _alternating),
            ("mixed_scales", "channels on scales from 2^-12 to 2^12: what is shared between channels shows", _mixed_scales),
            ("spike", "all elements equal but one: a single term carries the variance", _spike),
            ("bimodal", "two distant clusters, one after the other: merges of parts with different means", _bimodal),
            ("signs", "1 and -1 in turn: with an even count a mean of 0 and a variance of 1, so nothing to do", _signs),
            ("negative", "no value above 0: a maximum or an absolute value shows", _negative),
            ("rectified", "many zeros, and channels of nothing else, as a rectifier leaves them", _rectified),
            ("zeros", "nothing but zeros: what is skipped or divided there", lambda rng, config, shape: np.zeros(shape)),
            ("specials", "infinities of both signs and NaN, alone and together: what is kept of them", _specials),
            ("tail", "the last values of each plane far from the others: a lost tail shows among thousands", _tail),
        ),
        start=1,
    )
)  # fmt: skip
BY_NAME = {t.name: t for t in INPUT_TYPES}

COTANGENTS = ("random", "constant", "one_hot", "ramp", "normalised", "large", "zeros", "nan", "infinite", "tail", "x")


def draw_x(kind: str, rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...]) -> Array:
    """x of the input type, rounded to its dtype; large values are kept inside the dtype's range."""
    values = BY_NAME[kind].draw(rng, config, shape)
    limit = PRECISIONS[config.dtype].largest / 4.0
    with np.errstate(invalid="ignore", over="ignore"):
        kept = np.where(np.isfinite(values), np.clip(values, -limit, limit), values)
        return kept.astype(dtype_of(config.dtype))


def draw_cotangent(
    kind: str, rng: np.random.RandomState, config: LayerConfig, shape: tuple[int, ...], x: Array | None = None
) -> Array:
    """dy: "random" with its own mean; "constant" per channel; "one_hot"; "ramp" 0, 1, 2, ... over the elements; "zeros".

    "tail": random, with 64 added at the last positions of each plane.
    "normalised": a constant plus x normalised, which dx maps nearly to 0; "large": random, of the order of 2^12; "tiny": random, with
    squares that vanish;
    "nan", "infinite": random, with one such value in one channel. ("x" is created together with x.)
    """
    c = np.arange(config.channels)
    if kind == "constant":
        dy = np.broadcast_to(_per_channel(config, 1.0 + 0.5 * c), shape)
    elif kind == "one_hot":
        dy = np.zeros(shape)
        if dy.size:
            dy.reshape(-1)[int(rng.randint(dy.size))] = 1.0
    elif kind == "zeros":
        dy = np.zeros(shape)
    elif kind == "normalised" and x is not None and x.size:
        wide = x.astype(np.float64)
        with np.errstate(all="ignore"):
            spread = np.std(wide, axis=config.reduce_axes, keepdims=True)
            dy = 1.0 + 0.5 * (wide - np.mean(wide, axis=config.reduce_axes, keepdims=True)) / np.where(
                spread > 0, spread, 1.0
            )
        dy = np.clip(np.nan_to_num(dy, posinf=1.0, neginf=1.0), -64.0, 64.0)
    elif kind == "ramp":
        dy = (np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape) % 16.0) - 4.0
    else:
        dy = rng.standard_normal(shape) + _per_channel(config, 0.5 * (c % 3) - 0.25)
        if kind == "tail":
            dy = dy + 64.0 * _plane_ends(config, shape)
        if kind == "large":
            dy = dy * 4096.0
        if kind == "tiny":
            dy = dy * 10.0 ** TINY[config.dtype]
        if kind in ("nan", "infinite") and dy.size:
            where = [int(rng.randint(n)) for n in shape]
            where[config.channel_axis] = config.channels // 2
            dy[tuple(where)] = np.nan if kind == "nan" else np.inf
    return np.array(dy).astype(dtype_of(config.dtype))
