"""Experiments on supported features.

A worker declines cases outside the declared conventions before they reach the adapter, so these experiments can refute a
declared feature but never find an undeclared one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np

from bnspec.conformance.conventions.experiment import Experiment
from bnspec.conformance.conventions.laboratory import (
    Lab,
    ended,
    laid,
    layer_arrays,
    layer_case,
    parameter_dtypes,
    plain_config,
    ratio,
    results,
)
from bnspec.conformance.conventions.moving_average import FIRST
from bnspec.conformance.conventions.outcome import Outcome, hidden
from bnspec.model.buffers import dtype_of
from bnspec.model.call import INFERENCE, MODES, TRAINING, TRAINING_GRADIENTS, Mode, call_of
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES, Conventions, OfferedAxes
from bnspec.model.layer import LayerConfig

STEPS = (Step(TRAINING, ("x",), fresh=True), Step(INFERENCE, ("x",), fresh=True))
BEYOND = "what is not declared is declined before the adapter is asked"
#: Extents of x besides the channels: all different, to expose a wrong axis.
EXTENTS = (4, 5, 2, 6, 7)


def probed(lab: Lab, case: Case) -> str:
    """How the case failed; "" if it did not. A layer for inference alone declines to train, which says nothing of its x."""
    observation = lab.observe(case)
    asked = tuple(s for s in observation.steps if s.status != "declined")
    return ended(dataclasses.replace(observation, steps=asked or observation.steps))


def refused(ends: Mapping[Any, str]) -> str:
    """The failed cases and how they ended, as text."""
    return "; ".join(f"{offer}: {end}" for offer, end in ends.items() if end) or "each declared one answers"


class Dtypes(Experiment):
    """A training step and an inference in each declared dtype of x."""

    fields = ("dtypes",)
    question = "Which dtypes of x are supported?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        ends = {}
        for dtype in lab.declared.dtypes:
            config = plain_config(lab.declared, dtype=dtype)
            ends[dtype] = probed(lab, layer_case(config, STEPS, {"x": FIRST}))
        left = tuple(d for d, end in ends.items() if not end)
        return [Outcome("dtypes", (left,), refused(ends))]


class HalfParameters(Experiment):
    """Each declared dtype of the parameters with each declared half-precision x."""

    fields = ("half_parameters",)
    question = "Which dtypes of parameters are supported with half-precision x?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        halves = [d for d in HALVES if d in lab.declared.dtypes]
        if not halves:
            return [hidden("half_parameters", "half precision is not supported")]
        offers = lab.declared.half_parameters
        ends = {}
        for offer in offers:
            for dtype in halves:
                own = dtype if offer == "input" else offer
                config = plain_config(lab.declared, dtype=dtype, parameter_dtype=own)
                ends[offer, dtype] = probed(lab, layer_case(config, STEPS, {"x": FIRST}))
        # a dtype of x that fails with every parameter dtype is not a matter of the parameters
        halves = [d for d in halves if not all(ends[o, d] for o in offers)]
        if not halves:
            return self.undecided("no half-precision x answers")
        left = tuple(o for o in offers if not any(ends[o, d] for d in halves))
        ends_by_form = {f"{offer} with {dtype}": end for (offer, dtype), end in ends.items() if dtype in halves}
        return [Outcome("half_parameters", (left,), refused(ends_by_form))]


class Ranks(Experiment):
    """Each declared number of axes, with any of the declared channel axes."""

    fields = ("ranks",)
    question = "Which numbers of axes are supported?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        ends: dict[int, list[str]] = {r: [] for r in lab.declared.ranks}
        for (rank, _), case in spread_cases(lab.declared).items():
            ends[rank].append(probed(lab, case))
        left = tuple(r for r in ends if not all(ends[r]))
        return [Outcome("ranks", (left,), refused({r: e[0] if all(e) else "" for r, e in ends.items()}))]


class ChannelAxes(Experiment):
    """Each declared channel axis of each working rank, with pairwise distinct extents."""

    fields = ("channel_axes",)
    question = "Which axes may hold the channels?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        ends = {p: probed(lab, c) or self.astray(lab, c) for p, c in spread_cases(lab.declared).items()}
        left = {place for place, end in ends.items() if not end}
        ranks = sorted({rank for rank, _ in left})
        ends_by_form = {f"axis {axis} of rank {rank}": end for (rank, axis), end in ends.items() if rank in ranks}
        names = tuple(n for n in get_args(OfferedAxes) if axes_of(n, ranks) == left)
        reason = "the declared ranks do not distinguish them" if len(names) > 1 else ""
        return [Outcome("channel_axes", names, refused(ends_by_form), reason)]

    def astray(self, lab: Lab, case: Case) -> str:
        """Whether the running mean contradicts this axis; never if the moving average is unknown."""
        step = lab.observe(case).steps[0]
        if not lab.average_known:
            return ""
        found = ratio(results(step), lab.after(case, 0, step.before, lab.known, 0), ("running_mean",), "lenient")
        return "" if found <= 1.0 else f"running_mean is not that axis's: error / bound {found:.2g}"


class AffineOptional(Experiment):
    """A layer without gamma and beta, if one is declared."""

    fields = ("affine_optional",)
    question = "May gamma and beta be absent?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if not lab.declared.affine_optional:
            return [hidden("affine_optional", BEYOND)]
        end = probed(lab, layer_case(plain_config(lab.declared, affine=False), STEPS, {"x": FIRST}))
        return [Outcome("affine_optional", (not end,), end or "a layer without them answers")]


class GradientModes(Experiment):
    """A call with gradients in each mode."""

    fields = ("gradient_modes",)
    question = "In which modes are gradients computed?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        ends: dict[Mode, str] = {}
        for mode in MODES:
            step = Step(call_of(mode, "gradients"), ("x", "dy"), fresh=True)
            observation = lab.observe(layer_case(plain_config(lab.declared), [step], {"x": FIRST, "dy": FIRST}))
            if not observation.steps:
                return self.undecided(f"{mode} with gradients: {observation.status}: {observation.message}")
            ends[mode] = ended(observation)
        left = tuple(mode for mode in MODES if not ends[mode].startswith("declined"))
        return [Outcome("gradient_modes", (left,), refused(ends))]


class Layouts(Experiment):
    """The same values packed, and as every other row of a larger array; the control repeats the packed ones."""

    fields = ("layouts",)
    question = "Do strides reach the kernel?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        config = plain_config(lab.declared)
        rows = np.random.RandomState(11).standard_normal((2 * 67, config.channels)) + 3.0
        along = tuple(slice(None, None, 2 if a == config.reduce_axes[0] else None) for a in range(config.rank))
        strided = laid(config, rows)[along]
        arrays = {**layer_arrays(config), "x": strided, "packed": strided.copy(order="C")}
        calls: Callable[[str], Step] = lambda name: Step(TRAINING_GRADIENTS, (name, name), fresh=True)
        case = Case("batch_norm", config, arrays, (calls("x"), calls("packed"), calls("packed")))
        observation = lab.observe(case)
        if end := ended(observation):
            return self.undecided(f"a strided or packed batch failed: {end}")
        view, packed, again = ({n: a.tobytes() for n, a in results(s).items()} for s in observation.steps)
        if packed != again:
            return self.undecided("the same packed values give other bits in a second call")
        if view != packed:
            return [Outcome("layouts", ("strided",), "strided and packed values give different bits")]
        return self.undecided("strided and packed values give the same bits, which either way may do")


def axes_of(name: OfferedAxes, ranks: Sequence[int]) -> set[tuple[int, int]]:
    """All pairs (rank, channel axis) within a choice of channel axes."""
    conventions = Conventions(channel_axes=name)
    return {(r, a) for r in ranks for a in range(r) if conventions.offers_axis(r, a)}


def spread_cases(conventions: Conventions) -> dict[tuple[int, int], Case]:
    """``spread_case`` for each declared channel axis of each declared rank."""
    return {
        (r, a): spread_case(conventions, r, a) for r, a in sorted(axes_of(conventions.channel_axes, conventions.ranks))
    }


def spread_case(conventions: Conventions, rank: int, axis: int) -> Case:
    """A batch of this rank with pairwise distinct extents and 3 channels on this axis."""
    dtype = plain_config(conventions).dtype
    config = LayerConfig(rank, axis, 3, 0.5, 0.75, dtype, parameter_dtypes(conventions, dtype)[0])
    others = iter(EXTENTS)
    shape = tuple(3 if a == axis else next(others) for a in range(rank))
    rows = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)
    x = (np.remainder(rows * 7.0, 16.0) - 5.0).astype(dtype_of(config.dtype))
    three = {"gamma": (2.0, -1.5, 0.5), "beta": (0.5, -3.0, 1.0), "running_mean": (5.0, -7.0, 0.5)}
    state = layer_arrays(config, **three, running_var=(9.0, 20.0, 4.0))
    return Case("batch_norm", config, {**state, "x": x}, STEPS)
