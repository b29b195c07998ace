"""Layers to translate, and their batches in the target's shape."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from bnspec.conformance.conventions.laboratory import parameter_dtypes
from bnspec.model.buffers import dtype_of
from bnspec.model.case import Case, Step
from bnspec.model.conventions import DTYPES, Conventions
from bnspec.model.layer import LayerConfig
from bnspec.translation.parts import ARRAYS, LayerValues
from bnspec.translation.translate import decay_of

#: Per channel, of all layers unless a layer says otherwise: exact in every dtype, no two alike, one gamma negative.
ORDINARY = {
    "gamma": (0.5, -1.25, 2.0),
    "beta": (0.25, 0.0, -3.0),
    "running_mean": (5.0, -0.75, 12.0),
    "running_var": (9.0, 0.5, 12.0),
}
#: Layers that are difficult to translate, by name: their special numbers.
DIFFICULT: Mapping[str, Mapping[str, Any]] = {
    "ordinary": {},
    "small epsilon and variance": {"epsilon": 1e-7, "running_var": (2.0**-24, 2.0**-20, 0.0)},
    "large epsilon, slow average": {"epsilon": 0.25, "decay": 0.999},
    "gamma of either sign and zero": {"gamma": (-4.0, 0.0, -(2.0**-10)), "decay": 0.5},
    "without gamma and beta": {"gamma": None, "beta": None},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """The inputs of a layer by name: x and dy of each step, in the source's shape.

    Attributes:
        arrays: x0, dy0, x1, ...; count: elements per channel, the same in all.
    """

    arrays: Mapping[str, np.ndarray]
    count: int


def layers(conventions: Conventions) -> Iterator[tuple[str, LayerValues]]:
    """Layers within these conventions: difficult ones in the first dtype, then one in each other dtype."""
    dtypes = [d for d in ("float32", *DTYPES) if d in conventions.dtypes]
    first = dtypes[0]
    for name, changes in DIFFICULT.items():
        if conventions.affine_optional or "gamma" not in changes or changes["gamma"] is not None:
            yield f"{name}, {first}", layer_of(conventions, first, parameter_dtypes(conventions, first)[0], **changes)
    for dtype in dict.fromkeys(dtypes):
        for parameters in parameter_dtypes(conventions, dtype):
            if dtype != first:
                label = dtype if parameters == dtype else f"{dtype} with {parameters} parameters"
                yield f"ordinary, {label}", layer_of(conventions, dtype, parameters)


def layer_of(
    conventions: Conventions, dtype: str, parameters: str, decay: float | None = None, **changes: Any
) -> LayerValues:
    """A layer with the framework's own defaults for epsilon and momentum, unless changed."""
    kept = conventions.default_decay if decay is None else decay
    rank = 4 if 4 in conventions.ranks else min(conventions.ranks)
    last = conventions.channel_axes != "first"
    held: dict[str, Any] = {}
    for name in ARRAYS:
        values = changes.pop(name, ORDINARY[name])
        held[name] = None if values is None else np.array(values, dtype_of(parameters))
    given = {"epsilon": conventions.default_epsilon, "momentum": momentum_for(conventions, kept)} | changes
    # a layer built by an adapter has taken no step; any number works unless the first batch is special
    steps = 7 if conventions.first_batch == "average" else 0
    return LayerValues(**held, **given, dtype=dtype, rank=rank, channel_axis=rank - 1 if last else 1, steps=steps)


def momentum_for(conventions: Conventions, decay: float) -> float:
    """The framework's number for a decay, as a user writes it: 0.1 for 0.9, not 1 - 0.9 in float64."""
    return float(1 - Fraction(str(decay))) if conventions.momentum_weighs == "new" else decay


def batches(layer: LayerValues, steps: int) -> Batches:
    """Batches of 12 values per channel around the running mean, different in each step."""
    channels = layer.running_mean.size
    extents = iter((4, 3, 1, 1, 1))
    shape = tuple(channels if a == layer.channel_axis else next(extents) for a in range(layer.rank))
    rng, arrays = np.random.RandomState(23), {}
    for t in range(steps):
        for name in ("x", "dy"):
            values = rng.standard_normal(shape) * 2.0 ** (t % 3) + (float(t) if name == "x" else 0.0)
            arrays[f"{name}{t}"] = values.astype(dtype_of(layer.dtype))
    return Batches(arrays, int(np.prod(shape)) // channels)


def moved(array: np.ndarray, source: LayerValues, target: LayerValues) -> np.ndarray:
    """An array shaped like the source's x, shaped like the target's: the channel axis moved, the other axes merged."""
    if array.ndim != source.rank:
        return array
    if source.rank == target.rank:
        return np.ascontiguousarray(np.moveaxis(array, source.channel_axis, target.channel_axis))
    flat = np.moveaxis(array, source.channel_axis, -1).reshape(-1, source.running_mean.size)
    shape = [1] * target.rank
    along = next(a for a in range(target.rank) if a != target.channel_axis)
    shape[along], shape[target.channel_axis] = flat.shape
    return np.ascontiguousarray((flat if along < target.channel_axis else flat.T).reshape(shape))


def case_of(
    conventions: Conventions, layer: LayerValues, arrays: Mapping[str, np.ndarray], steps: Sequence[Step]
) -> Case:
    """The layer and its calls as a case for a backend with these conventions."""
    config = LayerConfig(
        layer.rank,
        layer.channel_axis,
        layer.running_mean.size,
        layer.epsilon,
        float(decay_of(conventions, layer.momentum)),
        layer.dtype,
        layer.parameter_dtype,
        layer.gamma is not None,
    )
    held = {n: getattr(layer, n).copy() for n in ARRAYS if getattr(layer, n) is not None}
    inputs = {n: a.astype(dtype_of(layer.dtype)) for n, a in arrays.items()}
    return Case("batch_norm", config, {**held, **inputs}, tuple(steps))
