"""The inputs of the algorithms: from harmless noise to values chosen so that every addition rounds the same way.

Arrays are (channels, count); every kind fills some of the channels, so that one case holds them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bnspec.model.buffers import dtype_of

Array = Any
#: (random state, kappa, channels, count) -> float64 values of standard deviation about 1 and mean kappa.
Draw = Callable[[np.random.RandomState, float, int, int], Array]

#: How many values the adversaries choose from.
CANDIDATES = 8


def _random(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    return kappa + rng.standard_normal((channels, count))


def _constant(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    return np.broadcast_to(kappa + 0.1 + rng.random_sample((channels, 1)), (channels, count))


def _nearly_constant(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    return kappa + 1.0 + rng.randint(0, 3, (channels, count)) * 2.0**-12


def _sorted(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    ordered = np.sort(_random(rng, kappa, channels, count), axis=1)
    return np.where(rng.random_sample((channels, 1)) < 0.5, ordered, ordered[:, ::-1])


def _alternating(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    signs = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    return kappa + signs * (0.5 + rng.random_sample((channels, 1)))


def _outlier_first(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    x = rng.standard_normal((channels, count))
    x[:, 0] = kappa + 100.0 * (1.0 + rng.random_sample(channels))
    return x


def _one_value(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    """All values kappa but one: shifted and centred algorithms differ most."""
    x = np.full((channels, count), kappa)
    x[:, 0] += 1.0 + rng.random_sample(channels)
    return x


def _upward(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    """Of a few candidates the one whose addition to the float32 sum so far is rounded up the most."""
    total, values = np.zeros(channels, np.float32), np.empty((channels, count))
    for k in range(count):
        choice = (1.0 + kappa + rng.standard_normal((CANDIDATES, channels))).astype(np.float32)
        new = total + choice
        gain = new.astype(np.float64) - total.astype(np.float64) - choice
        best = gain.argmax(axis=0), np.arange(channels)
        total, values[:, k] = new[best], choice[best]
    return values


def _upward_in_pairs(rng: np.random.RandomState, kappa: float, channels: int, count: int) -> Array:
    """The same for a balanced tree: of all pairs of candidate subtrees those whose sums are too large the most."""
    pool = (1.0 + kappa + rng.standard_normal((channels, CANDIDATES, 1))).astype(np.float32)
    sums, excess = pool[..., 0], np.zeros((channels, CANDIDATES))
    while pool.shape[-1] < min(count, 64):
        new = sums[:, :, None] + sums[:, None, :]
        own = new.astype(np.float64) - sums[:, :, None].astype(np.float64) - sums[:, None, :]
        gain = (own + excess[:, :, None] + excess[:, None, :]).reshape(channels, -1)
        best = np.argsort(-gain, axis=1)[:, :CANDIDATES]
        left, right = best // CANDIDATES, best % CANDIDATES
        pool = np.concatenate([np.take_along_axis(pool, i[..., None], axis=1) for i in (left, right)], axis=2)
        sums = np.take_along_axis(new.reshape(channels, -1), best, axis=1)
        excess = np.take_along_axis(gain, best, axis=1)
    return np.resize(pool[:, 0].T, (count, channels)).T.astype(np.float64) if count > 64 else pool[:, 0, :count]


KINDS: tuple[Draw, ...] = (
    _random, _constant, _nearly_constant, _sorted, _alternating, _outlier_first, _one_value, _upward, _upward_in_pairs,
)  # fmt: skip

#: Those that choose their values so that all additions round upwards.
ADVERSARIES: tuple[Draw, ...] = (_upward, _upward_in_pairs)


def draw(dtype: str, kappa: float, count: int, seed: int, each: int = 3) -> dict[str, Array]:
    """The arrays of a case: x and dy of shape (channels, count), parameters and state of shape (channels,).

    Args:
        dtype: of x and dy; parameters have the same, or float32 beside half precision.
        kappa: |mean| / std of most channels.
        each: channels of each kind.
    """
    rng = np.random.RandomState(seed)
    values = np.concatenate([kind(rng, kappa, each, count) for kind in KINDS])
    channels = len(values)
    scale = (
        2.0 ** rng.randint(-3, 4, (channels, 1)) if dtype == "float16" else 2.0 ** rng.randint(-12, 13, (channels, 1))
    )
    scale = scale * np.where(rng.random_sample((channels, 1)) < 0.25, 1.0 / 3.0, 1.0)
    x = np.clip(values * scale, -3e4, 3e4) if dtype == "float16" else values * scale
    dy = rng.standard_normal((channels, count))
    style = np.arange(channels)[:, None] % 4
    aligned = np.sign(x - x.mean(axis=1, keepdims=True)) * (0.5 + rng.random_sample((channels, count)))
    dy = np.choose(style, [dy, 0.5 + np.abs(dy), aligned, np.ones_like(dy) * 0.7])
    half = dtype in ("float16", "bfloat16")
    plain = np.arange(channels) % 3 == 0
    parameters = {
        "gamma": np.where(plain, 1.0, 0.25 + rng.standard_normal(channels)),
        "beta": np.where(plain, 0.0, 4.0 * rng.standard_normal(channels)),
        "running_mean": np.where(plain, 0.0, x.mean(axis=1) + scale[:, 0] * rng.standard_normal(channels)),
        "running_var": np.where(plain, 1.0, scale[:, 0] ** 2 * (0.25 + rng.random_sample(channels))),
    }
    arrays = {n: v.astype("float32" if half else dtype) for n, v in parameters.items()}
    return {**arrays, "x": x.astype(dtype_of(dtype)), "dy": dy.astype(dtype_of(dtype))}
