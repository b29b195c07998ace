"""The case of a workload: its data, its parameters and its steps.

Parameters and statistics are not the defaults: zeros, ones or subnormal numbers could be fast paths of a kernel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.buffers import dtype_of
from bnspec.model.call import FIT, LEARN
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES
from bnspec.model.layer import LayerConfig

#: Both are exact in float32, so that every framework receives the same numbers.
EPSILON, DECAY = 2.0**-10, 0.75
#: For the networks: a rate small enough that values stay finite over thousands of timed steps; ten classes, as for digits.
LEARNING_RATE, CLASSES = 2.0**-10, 10
#: |mean| / standard deviation of a channel in the regime "offset".
OFFSET = 1000.0
Arrays = Mapping[str, np.ndarray]


def case_of(workload: Workload, seed: int) -> Case:
    """The workload's case; the same seed gives the same bits on every NumPy."""
    parameter_dtype = "float32" if workload.dtype in HALVES else workload.dtype
    axis, rank = workload.channel_axis, len(workload.shape)
    config = LayerConfig(rank, axis, workload.channels, EPSILON, DECAY, workload.dtype, parameter_dtype)
    rng = np.random.RandomState(seed % 2**32)  # its stream is the same everywhere
    origin = {"workload": dataclasses.asdict(workload), "seed": seed}
    subject, inputs = workload.step.subject, workload.step.inputs
    if subject == "network":
        arrays, step = _network(workload, config, rng)
        return Case(subject, config, arrays, (step,), origin)
    x = _values(workload, config, rng).astype(dtype_of(workload.dtype))
    arrays = {"x": x}
    if "dy" in inputs:
        arrays["dy"] = (0.25 + rng.standard_normal(workload.shape)).astype(x.dtype)
    timed = Step(workload.step.call, inputs, fresh=True)
    if subject == "input_norm":
        if timed.call.kind == "fit":
            return Case(subject, config, dict(zip(inputs, _chunks(x, config, len(inputs)))), (timed,), origin)
        return Case(subject, config, arrays, (Step(FIT, ("x",), True), dataclasses.replace(timed, fresh=False)), origin)
    kept = ("gamma", "beta") if subject == "layer_norm" else ("gamma", "beta", "running_mean", "running_var")
    parameters = {n: v.astype(dtype_of(parameter_dtype)) for n, v in _parameters(config.channels).items() if n in kept}
    return Case(subject, config, {**parameters, **arrays}, (timed,), origin)


def _values(workload: Workload, config: LayerConfig, rng: np.random.RandomState) -> np.ndarray:
    """x of the regime, in float64."""
    if workload.regime == "subnormal":
        limit = float(np.ldexp(0.9, _least_exponent(workload.dtype)))  # rounding must not reach the first normal number
        return rng.uniform(-limit, limit, workload.shape)
    spread = (0.5 + rng.uniform(size=config.channels)).reshape(config.channel_shape)
    centre = (3.0 * rng.standard_normal(config.channels)).reshape(config.channel_shape)
    if workload.regime == "constant":
        return np.broadcast_to(centre, workload.shape).copy()
    if workload.regime == "offset":
        centre = np.copysign(OFFSET * spread, centre)
    return centre + spread * rng.standard_normal(workload.shape)


def _least_exponent(dtype: str) -> int:
    """e of the smallest normal number 2^e."""
    return {"float64": -1022, "float32": -126, "bfloat16": -126, "float16": -14}[dtype]


def _chunks(x: np.ndarray, config: LayerConfig, count: int) -> list[np.ndarray]:
    """The rows of x in so many parts."""
    return np.array_split(x, count, axis=config.reduce_axes[0])


def _parameters(channels: int) -> dict[str, np.ndarray]:
    """gamma (some negative), beta, and the statistics of data like x."""
    c = np.arange(channels)
    return {
        "gamma": np.where(c % 3 == 1, -1.0, 1.0) * (0.5 + 0.375 * ((c * 5) % 11)),
        "beta": 0.25 + 0.5 * ((c * 7) % 13) - 2.0,
        "running_mean": np.where(c % 2, -0.75, 0.75) * (1.0 + (c * 3) % 8),
        "running_var": 0.5 + 0.25 * ((c * 5) % 9),
    }


def _network(workload: Workload, config: LayerConfig, rng: np.random.RandomState) -> tuple[dict[str, np.ndarray], Step]:
    """A network whose first linear map keeps the number of channels, and one step of its training.

    Parameters as a layer has them early in training, so that no class has all of the probability: with gradients that vanish the
    step would be an easy one.
    """
    channels, dense = config.channels, config.rank == 2
    n, *image, _ = workload.shape
    x = rng.standard_normal((n, *(extent + 2 for extent in image), channels))  # a map of 3 by 3 takes the border away
    fan_in = channels if dense else 9 * channels
    values = {
        "x": x,
        "w1": rng.standard_normal((channels, channels) if dense else (3, 3, channels, channels))
        * np.sqrt(2.0 / fan_in),
        "b1": 0.25 * rng.standard_normal(channels),
        "w2": rng.standard_normal((channels, CLASSES)) * np.sqrt(1.0 / channels),
        "b2": 0.125 * rng.standard_normal(CLASSES),
    }
    plain = workload.pass_name == "plain_network_step"
    if not plain:
        values.update(_parameters(channels), gamma=0.75 + 0.5 * rng.uniform(size=channels))
        values["beta"] = 0.25 * rng.standard_normal(channels)
    arrays = {name: value.astype(dtype_of(workload.dtype)) for name, value in values.items()}
    arrays["labels"] = rng.randint(0, CLASSES, n).astype(np.int64)
    kind = ("dense" if dense else "convolutional") + ("_plain" if plain else "")
    options = (("network", kind), ("learning_rate", LEARNING_RATE))
    return arrays, Step(LEARN, workload.step.inputs, True, options)
