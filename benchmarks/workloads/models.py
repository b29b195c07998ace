"""What a change of some layers is worth for a whole model: the batch-normalization layers of 70 models, by the shape of their input.

Batches of the models are large, so what is timed is the layer with its batch cut; time is taken to grow in proportion to the
batch from there, which holds where the call is long beside its overhead. Source of the shapes: ``model_shapes.json``.
"""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

from bnspec.benchmarks.workloads.workload import Shape
from bnspec.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Model:
    """A model's batch-normalization layers.

    Attributes:
        suite, name: where it was traced and what it is called there; a name may stand in two suites.
        layers: by the shape of their input, channels on axis 1, how many layers have it.
        elements: of the inputs of all layers together.
    """

    suite: str
    name: str
    layers: Mapping[Shape, int] = dataclasses.field(hash=False)

    @property
    def elements(self) -> int:
        """Elements of all inputs."""
        return sum(math.prod(shape) * count for shape, count in self.layers.items())


@functools.cache
def models() -> tuple[Model, ...]:
    """Every model of the collection."""
    data = json.loads(files("bnspec.benchmarks.workloads").joinpath("model_shapes.json").read_text("utf-8"))
    return tuple(Model(m["suite"], m["name"], {tuple(s): c for c, s in m["layers"]}) for m in data["models"])


def select_models(patterns: Sequence[str]) -> tuple[Model, ...]:
    """The models whose name, or suite/name, one of these globs matches; all, when none is given.

    Raises UsageError: a pattern that matches nothing.
    """
    chosen: dict[Model, None] = {}
    for pattern in patterns or ["*"]:
        found = [m for m in models() if any(fnmatch.fnmatchcase(n, pattern) for n in (m.name, f"{m.suite}/{m.name}"))]
        if not found:
            names = ", ".join(sorted({m.name for m in models()}))
            raise UsageError(f"no model matches {pattern!r}.", f"known are {names}.", "name one of them, or a glob.")
        chosen.update(dict.fromkeys(found))
    return tuple(chosen)


def cut_batch(shape: Shape, most: int) -> Shape:
    """The shape with its batch, axis 0, cut to what keeps it at ``most`` elements; a single sample is never cut."""
    sample = math.prod(shape[1:])
    return (max(min(shape[0], most // max(sample, 1)), 1), *shape[1:])


@dataclasses.dataclass(frozen=True)
class Distinct:
    """A shape that layers have after the cut: the largest it was cut from, and how many layers it stands for."""

    shape: Shape
    largest: Shape
    layers: int


def distinct_shapes(chosen: Iterable[Model], most: int) -> tuple[Distinct, ...]:
    """The distinct shapes of these models' layers, batches cut to ``most`` elements; what stands for the most layers first."""
    layers: collections.Counter[Shape] = collections.Counter()
    largest: dict[Shape, Shape] = {}
    for model in chosen:
        for shape, count in model.layers.items():
            cut = cut_batch(shape, most)
            layers[cut] += count
            largest[cut] = max(shape, largest.get(cut, shape))
    return tuple(Distinct(shape, largest[shape], count) for shape, count in layers.most_common())


@dataclasses.dataclass(frozen=True)
class Part:
    """The layers of a model with one shape.

    Attributes:
        shape: in the model; layers: how many have it.
        seconds: of one layer; None where nothing was timed.
        elements, total: of all these layers' inputs, and seconds of all these layers (None where unknown).
    """

    shape: Shape
    layers: int
    seconds: float | None

    @property
    def elements(self) -> int:
        """Elements of their inputs."""
        return math.prod(self.shape) * self.layers

    @property
    def total(self) -> float | None:
        """Seconds of all of them."""
        return None if self.seconds is None else self.seconds * self.layers


@dataclasses.dataclass(frozen=True)
class Worth:
    """What the batch-normalization layers of a model cost.

    Attributes:
        model: which; parts: by shape, the dearest first.
        seconds: of all layers that are known, in one pass.
        covered: the share of the model's elements that they hold; below 1, ``seconds`` is too little.
    """

    model: Model
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> float:
        """Of all layers that are known."""
        return sum(p.total or 0.0 for p in self.parts)

    @property
    def covered(self) -> float:
        """Proportion of the elements that are known."""
        known = sum(p.elements for p in self.parts if p.seconds is not None)
        return known / self.model.elements if self.model.elements else 0.0

    def share(self, part: Part, of: str = "seconds") -> float:
        """A part's share of the model's known seconds, or ``of="elements"`` of all its elements."""
        whole = self.model.elements if of == "elements" else self.seconds
        value = part.elements if of == "elements" else part.total or 0.0
        return value / whole if whole else 0.0

    def after(self, factors: Mapping[Shape, float]) -> float:
        """The model's seconds after a change, over those before it.

        Args:
            factors: new / old time of a layer, by its shape in the model; shapes that are not named stay as they are.
        """
        return 1.0 + sum(self.share(p) * (factors.get(p.shape, 1.0) - 1.0) for p in self.parts)


def worth(model: Model, seconds_by_shape: Mapping[Shape, float], most: int) -> Worth:
    """What the model's layers cost, given the time of one layer for each shape that was timed.

        seconds of a layer = seconds of the cut one * elements / elements of the cut one

    Args:
        seconds_by_shape: for shapes as timed, the seconds of one call; a shape of the model itself goes before its cut.
        most: the elements that batches were cut to.
    """
    parts = []
    for shape, layers in model.layers.items():
        timed = shape if shape in seconds_by_shape else cut_batch(shape, most)
        known = seconds_by_shape.get(timed)
        seconds = None if known is None else known * math.prod(shape) / math.prod(timed)
        parts.append(Part(shape, layers, seconds))
    return Worth(model, tuple(sorted(parts, key=lambda p: (-(p.total or 0.0), -p.elements))))
