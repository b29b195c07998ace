"""Climbing towards the bounds: small changes of small inputs, kept where some algorithm's error comes nearer its bound.

The search reaches inputs that random data miss: it shows how tight the bounds are, and may find one that is unsound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bnspec.conformance.selftest.soundness.algorithms import Algorithm
from bnspec.conformance.selftest.soundness.experiment import STATE, BoundExperiment, worst_by_channel
from bnspec.model.vocabulary import Tier

Array = Any
NAMES = ("x", "dy", "gamma", "beta", *STATE)


class Peak(NamedTuple):
    """The highest ratio of an output, and the algorithm that reached it."""

    ratio: float
    algorithm: str


def climb(
    algorithms: Sequence[Algorithm],
    output: str,
    tier: Tier,
    count: int,
    epsilon: float,
    decay: float,
    seed: int,
    **effort: int,
) -> Peak:
    """The highest error / bound of an output that any of the algorithms reaches in float32, on inputs of so many values.

    effort: ``steps`` of the search, and ``channels``, each of which climbs by itself.
    """
    rng = np.random.RandomState(seed)
    steps, channels = effort.get("steps", 20), effort.get("channels", 64)
    arrays = _start(rng, channels, count, decay)
    best, peak = np.full(channels, -1.0), Peak(0.0, "")
    for step in range(steps):
        candidate = arrays if step == 0 else _changed(rng, arrays)
        experiment = BoundExperiment.of(candidate, epsilon, decay)
        found = np.full(channels, -1.0)
        for algorithm in algorithms:
            outcome = experiment.outcome(algorithm, output)[output]
            ratios = np.nan_to_num(worst_by_channel(*outcome, tier), nan=-1.0, posinf=np.inf)
            if ratios.max() > peak.ratio:
                peak = Peak(float(ratios.max()), algorithm.name)
            found = np.maximum(found, ratios)
        better = found > best
        best = np.where(better, found, best)
        arrays = {n: np.where(better.reshape(-1, *[1] * (a.ndim - 1)), candidate[n], a) for n, a in arrays.items()}
    return peak


def _start(rng: np.random.RandomState, channels: int, count: int, decay: float) -> dict[str, Array]:
    kappa = np.choose(np.arange(channels)[:, None] % 4, [0.0, 1.0, 10.0, 1e3])
    arrays = {
        "x": kappa + rng.standard_normal((channels, count)),
        "dy": 0.5 + rng.standard_normal((channels, count)),
        "gamma": 0.5 + rng.random_sample(channels),
        "beta": rng.standard_normal(channels) * (np.arange(channels) % 2),
        "running_mean": kappa[:, 0] + rng.standard_normal(channels),
        "running_var": 0.25 + rng.random_sample(channels),
    }
    if decay == 0.0:
        arrays |= {n: np.zeros(channels) for n in STATE}
    return {n: a.astype(np.float32) for n, a in arrays.items()}


def _changed(rng: np.random.RandomState, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Some values of each channel, moved by a part of themselves that spans all scales down to the last place."""
    changed = {}
    for name, array in arrays.items():
        scale = 2.0 ** -rng.randint(0, 24, array.shape)
        moved = array * (1.0 + scale * rng.standard_normal(array.shape) * (rng.random_sample(array.shape) < 0.4))
        changed[name] = moved.astype(np.float32)
    return changed
