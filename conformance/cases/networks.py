"""Trajectories: a small network that contains the layer, trained on images of digits for fifty steps.

The images are the first ones in scikit-learn's data set; ``digits.json`` states their origin. Each step is judged from its
observed input values. In parallel, the exact trajectory starts from the case's values: with F the exact step,

    |observed - exact| after a step  <=  the step's own bound + |F(observed before) - F(exact before)|

if every step keeps its bound. The right side, the propagated bound, limits the effect of rounding up to that step.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np

from bnspec.model.call import LEARN
from bnspec.model.case import PARAMETERS, Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.layer import LayerConfig
from bnspec.model.observation import StepResult
from bnspec.oracle.network import Tracked
from bnspec.oracle.network_case import Values, exact_step, usable

VALUES = ("w1", "b1", *PARAMETERS, "w2", "b2")
STEPS, RATE = 50, 0.25
#: Samples per step by kind of network; few if each has 36 positions: with more values per channel the bounds grow, and the effect
#: of a correction m / (m - 1) shrinks.
BATCH = {"dense": 32, "convolutional": 8}
KINDS = tuple(BATCH)
#: Large compared with float32's rounding errors in the variance of any batch here, small compared with the variance.
EPSILON = 2.0**-6


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 8, 8) with values from 0 to 1, and their labels (n,)."""
    data = json.loads(files("bnspec.conformance.cases").joinpath("digits.json").read_text("utf-8"))
    images = np.array([[int(c, 17) for c in row] for row in data["images"]], np.float32).reshape(-1, 8, 8) / 16.0
    return images, np.array([int(c) for c in data["labels"]], np.int64)


def network_case(kind: str, seed: int, steps: int = STEPS) -> Case:
    """Training from random weights, and from a gamma, beta and statistics that are not the defaults."""
    images, labels = digits()
    rng = np.random.RandomState(seed % 2**32)
    order = rng.permutation(len(labels))
    channels, features = (24, 64) if kind == "dense" else (6, 9)
    size = BATCH[kind]
    batches = len(labels) // size
    arrays: dict[str, np.ndarray] = {}
    for k in range(min(batches, steps)):
        chosen = order[k * size : (k + 1) * size]
        x = images[chosen]
        arrays[f"x{k}"] = x.reshape(size, -1).copy() if kind == "dense" else x[..., None].copy()
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
    config = LayerConfig(rank, rank - 1, channels, EPSILON, 0.875, "float32", "float32")
    options = (("network", kind), ("learning_rate", RATE))
    plan = [
        Step(LEARN, (f"x{k % batches}", f"labels{k % batches}"), k == 0, options if k == 0 else ())
        for k in range(steps)
    ]
    return Case("network", config, arrays, tuple(plan), {"network": kind, "seed": seed})


@dataclasses.dataclass(frozen=True)
class Drift:
    """The largest deviation of a trajectory from the exact one.

    Attributes:
        steps: the number of steps taken; output, index: the element with the largest deviation.
        distance: |observed - exact|; bound: its propagated bound.
    """

    steps: int
    output: str
    index: tuple[int, ...]
    distance: float
    bound: float

    def __str__(self) -> str:
        """One line."""
        place = f"{self.output}[{', '.join(map(str, self.index))}]"
        return (
            f"after {self.steps} steps {place} is {self.distance:.2e} from the exact trajectory, bound {self.bound:.2e}"
        )


def drift(
    case: Case, conventions: Conventions, results: Sequence[StepResult], exact_steps: Sequence[Mapping[str, Tracked]]
) -> Drift | None:
    """The drift of the last built network from the exact trajectory.

    Args:
        results: of the steps.
        exact_steps: for each step, ``exact_step`` from its observed input values; empty where there is none.
    Returns: None if a step failed or its values are unusable for the next step.
    """
    start = case.built_at(len(case.steps) - 1)
    exact: Values = {n: case.arrays[n] for n in VALUES}
    for i in range(start, len(case.steps)):
        if results[i].status != "ok" or not exact_steps[i] or not usable(case, exact):
            return None
        exact = {n: t.value for n, t in exact_step(case, i, conventions, exact).items() if n in VALUES}
    observed, last = results[-1].outputs, exact_steps[-1]
    if not usable(case, observed) or not usable(case, exact):
        return None
    distances = {n: np.abs(observed[n] - exact[n]) for n in VALUES}
    name = max(VALUES, key=lambda n: float(distances[n].max()))
    index = tuple(int(k) for k in np.unravel_index(int(distances[name].argmax()), distances[name].shape))
    bound = last[name].error[index] + abs(last[name].value[index] - exact[name][index])
    return Drift(len(case.steps) - start, name, index, float(distances[name][index]), float(bound))
