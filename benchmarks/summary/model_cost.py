"""Costs beyond single workloads: the layers of whole models, and batch normalization relative to doing without it.

Both are computed from cells whose outputs conform. The two sides of a ratio are from the same process, so that what they
share cancels.
"""

from __future__ import annotations

import collections
import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from bnspec.benchmarks.workloads.models import Model, worth
from bnspec.benchmarks.workloads.workload import Shape
from bnspec.reports.summary.cells import Cell
from bnspec.reports.summary.counts import time_text

#: Pairs of passes on one shape, whose ratio is the cost of the first relative to the second.
COSTS = {
    ("network_step", "plain_network_step"): "a training step with batch normalization / without",
    ("training", "layer_norm"): "batch normalization / layer normalization, forward",
    ("training_gradients", "layer_norm_gradients"): "batch normalization / layer normalization, forward and backward",
}


@dataclasses.dataclass(frozen=True)
class Cost:
    """A ratio of two passes on one shape by one contender: the median over the processes, and the extremes."""

    contender: str
    about: str
    shape: Shape
    dtype: str
    ratio: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class ModelTime:
    """All batch-normalization layers of a model in one pass.

    Attributes:
        seconds: of the layers whose shape was timed, batches extrapolated to the model's; covered: their share of the elements.
        dearest: the shape that takes the most time; share: its share of the seconds.
    """

    model: str
    contender: str
    pass_name: str
    seconds: float
    covered: float
    dearest: Shape
    share: float


def costs(listed: Iterable[Cell]) -> list[Cost]:
    """The ratios of ``COSTS`` that the cells hold; of one kind and shape the smallest first."""
    found: dict[tuple[str, Shape, str, str], Cell] = {}
    for cell in listed:
        if cell.verdict == "conforms" and cell.first.regime == "ordinary":
            t = cell.first
            found[cell.contender, t.shape, t.dtype, t.pass_name] = cell
    ratios_found = []
    for (name, shape, dtype, pass_name), cell in found.items():
        for (of, by), about in COSTS.items():
            other = found.get((name, shape, dtype, by)) if pass_name == of else None
            if other is None:
                continue
            own, base = cell.medians_ns, other.medians_ns
            ratios = [own[p] / base[p] for p in own.keys() & base.keys()]
            if ratios:
                ratios_found.append(
                    Cost(name, about, shape, dtype, statistics.median(ratios), min(ratios), max(ratios))
                )
    return sorted(ratios_found, key=lambda c: (c.about, c.shape, c.ratio))


def model_times(listed: Iterable[Cell], models: Sequence[Model], most: int) -> list[ModelTime]:
    """What the layers of each model cost each contender, by pass. ``most``: the elements that batches were cut to."""
    seconds: dict[tuple[str, str], dict[Shape, float]] = collections.defaultdict(dict)
    for cell in listed:
        t = cell.first
        if cell.verdict == "conforms" and cell.median_ns and t.channel_axis == 1 and t.dtype == "float32":
            seconds[cell.contender, t.pass_name][t.shape] = cell.median_ns * 1e-9
    times = []
    for model in models:
        for (name, pass_name), by_shape in seconds.items():
            found = worth(model, by_shape, most)
            if found.covered:
                dearest = found.parts[0]
                times.append(
                    ModelTime(
                        model.name, name, pass_name, found.seconds, found.covered, dearest.shape, found.share(dearest)
                    )
                )
    return times


def lines(ratios: Sequence[Cost], times: Sequence[ModelTime]) -> list[str]:
    """Both for a terminal."""
    text = []
    names = [c.contender for c in ratios] + [t.contender for t in times]
    room = max(map(len, names), default=0)
    for about in dict.fromkeys(c.about for c in ratios):
        text += ["", about]
        for c in (c for c in ratios if c.about == about):
            shape = " x ".join(map(str, c.shape))
            text.append(f"  {c.contender:<{room}} {c.ratio:6.2f}   {c.low:.2f} to {c.high:.2f}   {shape} {c.dtype}")
    for model in dict.fromkeys(t.model for t in times):
        text += ["", f"all batch-normalization layers of {model}, whole batch"]
        for t in (t for t in times if t.model == model):
            part = f"{100 * t.share:.0f} % of it {' x '.join(map(str, t.dearest))}"
            whole = "" if t.covered > 0.999 else f"; {100 * t.covered:.0f} % of the elements were timed"
            text.append(f"  {t.contender:<{room}} {t.pass_name:<20} {time_text(t.seconds * 1e9):>8}   {part}{whole}")
    return text


def to_json(ratios: Sequence[Cost], times: Sequence[ModelTime]) -> dict[str, Any]:
    """Both as JSON-ready data."""
    return {"costs": [dataclasses.asdict(c) for c in ratios], "models": [dataclasses.asdict(t) for t in times]}
