"""Trajectories: a small network with the layer in it, trained on images of digits for fifty steps.

The images are the first of those that scikit-learn ships; ``digits.json`` says where they come from.
"""

from __future__ import annotations

import functools
import json
from importlib.resources import files

import numpy as np

from bnspec.case import Case, Step
from bnspec.contract import LayerConfig

STEPS, BATCH, RATE = 50, 32, 0.25
KINDS = ("dense", "convolutional")


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 8, 8) with values from 0 to 1, and their labels (n,)."""
    data = json.loads(files("bnspec.conformance").joinpath("digits.json").read_text("utf-8"))
    images = np.array([[int(c, 17) for c in row] for row in data["images"]], np.float32).reshape(-1, 8, 8) / 16.0
    return images, np.array([int(c) for c in data["labels"]], np.int64)


def network_case(kind: str, seed: int, steps: int = STEPS) -> Case:
    """Training from random weights, and from a gamma, beta and statistics that are not the defaults."""
    images, labels = digits()
    rng = np.random.RandomState(seed % 2**32)
    order = rng.permutation(len(labels))
    channels, features = (24, 64) if kind == "dense" else (6, 9)
    batches = len(labels) // BATCH
    arrays: dict[str, np.ndarray] = {}
    for k in range(min(batches, steps)):
        chosen = order[k * BATCH : (k + 1) * BATCH]
        x = images[chosen]
        arrays[f"x{k}"] = x.reshape(BATCH, -1).copy() if kind == "dense" else x[..., None].copy()
        arrays[f"labels{k}"] = labels[chosen]
    shape = (features, channels) if kind == "dense" else (3, 3, 1, channels)
    values = {
        "w1": rng.standard_normal(shape) * np.sqrt(2.0 / features),
        "b1": 0.25 * rng.standard_normal(channels),
        "gamma": 0.75 + 0.5 * rng.uniform(size=channels),
        "beta": 0.25 * rng.standard_normal(channels),
        "running_mean": 3.0 + rng.standard_normal(channels),
        "running_var": 2.0 + rng.uniform(size=channels),
        "w2": rng.standard_normal((channels, 10)) * np.sqrt(1.0 / channels),
        "b2": 0.1 * rng.standard_normal(10),
    }
    arrays.update({n: v.astype(np.float32) for n, v in values.items()})
    rank = 2 if kind == "dense" else 4
    config = LayerConfig(rank, rank - 1, channels, 2.0**-10, 0.875, "float32", "float32")
    options = (("network", kind), ("learning_rate", RATE))
    plan = [
        Step("learn", (f"x{k % batches}", f"labels{k % batches}"), k == 0, options if k == 0 else ())
        for k in range(steps)
    ]
    return Case("network", config, arrays, tuple(plan), {"network": kind, "seed": seed})
