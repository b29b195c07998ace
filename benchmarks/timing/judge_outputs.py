"""The verdict of timed outputs, by the specification's own bounds.

The oracle is exact and therefore slow, so of a large workload a subset of the channels is judged: batch normalization treats
each channel by itself, and a case cut down to some channels is the same mathematics with the same bounds. The first and the last
channel are always among them, the others lie evenly between. Shapes are checked in full. Two calls are judged:

- the *observed call*, on inputs that are new to the layer, with the state before and after it;
- the *audited sample*, a timed call drawn at random, on the workload's inputs times ``AUDITED_FACTOR``.

For layer normalization rows are judged, and dgamma and dbeta, which sum over all rows, in full.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from bnspec.arithmetic.quad import quad
from bnspec.backends.worker.timing import FACTORS
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.case import Case
from bnspec.model.conventions import HALVES, Conventions
from bnspec.model.observation import StepResult
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.expected import TIERS, Expected
from bnspec.oracle.layer_norm import layer_norm_answers
from bnspec.oracle.memoize import remembered
from bnspec.oracle.network_case import exact_step, usable
from bnspec.oracle.oracle import Oracle

#: About how many elements of x the oracle answers for, and the fewest channels.
JUDGED_ELEMENTS, JUDGED_CHANNELS = 2**14, 4
#: An output is judged by its widest finite bound: "lenient", which every textbook formula keeps, and where that is infinite
#: (half precision, many elements) "permissive", which every order of summation keeps.
TIERS_OF_JUDGEMENT: tuple[Tier, ...] = ("lenient", "permissive")
#: Factor of the audited sample's inputs: it is a call on the first of the copies.
AUDITED_FACTOR = FACTORS[0]
Arrays = Mapping[str, np.ndarray]
Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Judgement:
    """The worst error / bound over all outputs (NaN: nothing could be judged), and what is wrong when it exceeds 1.

    ``kind``: "dtype" where an output has another dtype than the one asked for.
    """

    ratio: float
    message: str = ""
    kind: Literal["", "dtype"] = ""


class TimedCase:
    """A workload's case with the oracles of its judged channels: made once, shared by all processes and backends.

    Attributes:
        workload, case: what is timed.
        channels: indices of the judged channels; for layer normalization, of the judged rows.
        cut: the channels that a worker has to return; None for all.
    """

    def __init__(self, workload: Workload, seed: int = 0) -> None:
        self.workload, self.case = workload, workload.case(seed)
        self.subject, channels = self.case.subject, workload.channels
        if self.subject == "layer_norm":
            channels = workload.elements // workload.channels
        self.channels = judged_channels(channels, workload.elements // max(channels, 1))
        whole = self.subject in ("layer_norm", "network") or len(self.channels) == channels
        self.cut: list[int] | None = None if whole else [int(c) for c in self.channels]

    @remembered
    def oracle(self, factor: float) -> Oracle:
        """The oracle of the case cut down to the judged channels, its inputs multiplied."""
        return Oracle(cut(scaled(self.case, factor), self.channels))

    def observed(self, result: StepResult, shapes: Shapes, conventions: Conventions) -> Judgement:
        """Every output, and the state after the call, against the oracle's answer to the state before it."""
        if result.written:
            return Judgement(math.inf, "the observed call wrote into " + ", ".join(result.written))
        if self.subject == "batch_norm":
            statistics = (*result.before.values(), *result.after.values())
            if any(a.shape != (self.workload.channels,) for a in statistics):
                return Judgement(math.inf, "the running statistics are not one value per channel")
        got = {**result.outputs, **result.after}
        return self.judged(self.expected(1.0, result.before, conventions), got, shapes, conventions)

    def audited(self, result: StepResult, before: Arrays, shapes: Shapes, conventions: Conventions) -> Judgement | None:
        """The outputs of a timed call; None for a network, whose step depends on all steps before it.

        ``before``: the state before the observed call. Of the outputs that depend on the state only those of inference are
        judged, and inference has the same state in every call.
        """
        if self.subject == "network":
            return None
        expected = self.expected(AUDITED_FACTOR, before, conventions)
        outputs = {n: e for n, e in expected.items() if not n.startswith("running_")}
        return self.judged(outputs, result.outputs, shapes, conventions)

    def expected(self, factor: float, before: Arrays, conventions: Conventions) -> Mapping[str, Expected]:
        """What the timed call must give, by output name."""
        if self.subject == "network":
            return self.network_step(before, conventions)
        if self.subject == "layer_norm":
            return self.layer_norm(factor, conventions)
        oracle = self.oracle(factor)
        return oracle.expect(oracle.case.steps[-1], {n: a[self.channels] for n, a in before.items()}, conventions)

    def network_step(self, before: Arrays, conventions: Conventions) -> Mapping[str, Expected]:
        """Loss and values of a network's step."""
        if not usable(self.case, before):
            return {}
        tracked = exact_step(self.case, len(self.case.steps) - 1, conventions, before)
        return {n: Expected(quad(t.value), dict.fromkeys(TIERS, t.error)) for n, t in tracked.items()}

    @remembered
    def layer_norm(self, factor: float, conventions: Conventions) -> Mapping[str, Expected]:
        """y and dx of layer normalization's judged rows, and both sums."""
        return layer_norm_answers(scaled(self.case, factor), self.channels, conventions)

    def judged(
        self, expected: Mapping[str, Expected], got: Arrays, shapes: Shapes, conventions: Conventions
    ) -> Judgement:
        """The worst of all outputs."""
        found = [self.compare(n, e, got, shapes, conventions) for n, e in expected.items()]
        return max(found, key=_weight, default=Judgement(math.nan, "no output can be judged"))

    def compare(
        self, name: str, expected: Expected, got: Arrays, shapes: Shapes, conventions: Conventions
    ) -> Judgement:
        """One output."""
        if name not in got:
            return Judgement(math.inf, f"{name} is missing")
        like_x = expected.value.ndim > 1 and self.subject != "network"
        whole = self.case.arrays["x"].shape if like_x else (self.workload.channels,)
        if self.subject != "network" and tuple(shapes.get(name, whole)) != whole:
            return Judgement(math.inf, f"{name} has shape {tuple(shapes[name])}, expected {whole}")
        wrong = self.changed_dtype(name, got[name], like_x, conventions)
        if wrong:
            return Judgement(math.inf, wrong, "dtype")
        values = self.part(name, got[name], like_x)
        for tier in TIERS_OF_JUDGEMENT:
            ratios = ratios_of(values, expected, tier)
            if not np.isnan(ratios).all():
                worst = float(np.nanmax(ratios))
                return Judgement(worst, "" if worst <= 1.0 else f"{name} is off by {worst:.3g} times its {tier} bound")
        return Judgement(
            math.nan, f"{name} cannot be judged: its bounds are infinite, or the specification leaves it open"
        )

    def part(self, name: str, array: np.ndarray, like_x: bool) -> np.ndarray:
        """The judged channels of an output, which a worker may have cut already."""
        if self.subject == "network":
            return array
        if self.subject == "layer_norm" and not like_x:
            return array
        if self.subject == "layer_norm":
            return array.reshape(-1, self.workload.channels)[self.channels]
        axis = self.workload.channel_axis if like_x else 0
        cut_already = like_x and self.cut is not None and array.shape[axis] == len(self.channels)
        return array if cut_already else np.take(array, self.channels, axis)

    def changed_dtype(self, name: str, array: np.ndarray, like_x: bool, conventions: Conventions) -> str:
        """What is wrong with an output's dtype; empty where it is right.

        y and dx have the dtype of x, except a y that the conventions promote; all else has that of the parameters. The dtype of
        statistics that input normalization learns from half precision is left open.
        """
        config = self.case.config
        wanted = config.dtype if like_x else config.parameter_dtype
        if name == "y" and conventions.output_dtype == "promoted" and config.dtype in HALVES:
            wanted = config.parameter_dtype
        open_ = self.subject == "input_norm" and not like_x and config.dtype in HALVES
        if open_ or array.dtype.name == wanted:
            return ""
        return f"changed dtype: {name} is {array.dtype.name}, expected {wanted}"


def judged_channels(channels: int, count: int) -> np.ndarray:
    """Which of the channels, of ``count`` elements each, are judged: first, last, and some evenly between."""
    wanted = max(JUDGED_CHANNELS, JUDGED_ELEMENTS // max(count, 1))
    if wanted >= channels:
        return np.arange(channels)
    return np.unique(np.linspace(0, channels - 1, wanted).round().astype(int))


def scaled(case: Case, factor: float) -> Case:
    """The case with the inputs of its last step multiplied, as the timed calls have them."""
    if factor == 1.0:
        return case
    arrays = dict(case.arrays)
    for name in case.steps[-1].inputs:
        arrays[name] = (arrays[name] * arrays[name].dtype.type(factor)).astype(arrays[name].dtype)
    return case.with_(arrays=arrays)


def cut(case: Case, channels: np.ndarray) -> Case:
    """The case of these channels alone."""
    config, axis = dataclasses.replace(case.config, channels=len(channels)), case.config.channel_axis
    arrays = {name: np.take(a, channels, axis if a.ndim > 1 else 0) for name, a in case.arrays.items()}
    return case.with_(config=config, arrays=arrays)


def _weight(judgement: Judgement) -> tuple[int, float]:
    """A deviation weighs most, then an output that cannot be judged: a cell conforms only when every output does."""
    if math.isnan(judgement.ratio):
        return 1, 0.0
    return (2 if judgement.ratio > 1.0 else 0), judgement.ratio
