"""A case and what came back, side by side with the oracle: what every check looks at.

An ``Examination`` answers, for a step: what was expected, and how far off each element is, as error / bound.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bnspec.arithmetic.quad import double
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.memoize import remembered
from bnspec.oracle.oracle import Expected, Oracle

Mask = np.ndarray  # (C,) booleans: the channels that a clause speaks of


@dataclass(frozen=True)
class Judgement:
    """One clause on one step.

    Attributes:
        ratio: worst error / bound; 0 or inf for laws that hold or do not.
        evidence: of the worst element when the clause is broken, as JSON-ready data.
        message: one line.
    """

    ratio: float
    evidence: dict[str, Any]
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether the clause is kept."""
        return self.ratio <= 1.0


class Examination:
    """One case on one backend, under the backend's conventions; ``oracle_seconds``: processor time spent in the oracle for it."""

    def __init__(self, case: Case, observation: Observation, conventions: Conventions, oracle: Oracle) -> None:
        self.case, self.observation, self.conventions, self.oracle = case, observation, conventions, oracle
        self.oracle_seconds = 0.0
        self._errors: dict[tuple[int, str, Tier], np.ndarray | None] = {}

    def step(self, i: int) -> Step:
        """The i-th call."""
        return self.case.steps[i]

    def result(self, i: int) -> StepResult:
        """How the i-th call ended."""
        return self.observation.steps[i]

    @remembered
    def seen(self, i: int) -> Oracle:
        """The oracle of the case as the layer of step i sees it: with what it was given, and what it has been told since."""
        return self.oracle.overridden(self.case.overrides(i, lambda j: self.result(j).status == "ok"))

    def built(self, i: int) -> Case:
        """The case as the layer of step i sees it."""
        return self.seen(i).case

    @remembered
    def frozen(self, i: int) -> bool:
        """Whether the layer of step i has been marked as not trainable."""
        return self.case.settings_at(i, lambda j: self.result(j).status == "ok")[1]

    @remembered
    def expected(self, i: int) -> Mapping[str, Expected]:
        """What the step must give, for the state it was observed to meet. Nothing, where the conventions leaves it open."""
        before: Mapping[str, np.ndarray] = self.result(i).before
        step = self.step(i)
        if self.case.subject == "input_norm" and step.call.kind != "fit":
            before = self.fitted(i)
        if step.refused or not step.inputs or step.call.kind == "learn" or (step.call.kind != "fit" and not before):
            return {}
        if any(a.shape != (self.case.config.channels,) for n, a in before.items() if n.startswith("running_")):
            return {}  # the state has another shape: that is where it is said
        first = self.step(self.case.built_at(i))
        if first.option("initial") and before["running_mean"].dtype.name != self.case.config.parameter_dtype:
            return {}  # the framework's own statistics have a precision of their own, which the bounds do not know
        if self.frozen(i) and step.call.mode == "training":
            if self.conventions.frozen_gradients == "unspecified" or step.call.has_mask:
                return {}
            if self.conventions.frozen_gradients == "constants":
                step = dataclasses.replace(step, call=step.call.in_mode("inference"))
        started = time.thread_time()
        fit = self.fit_before(i) if self.case.subject == "input_norm" else None
        answers = self.seen(i).expect(step, before, self.conventions, None if fit is None else self.step(fit))
        self.oracle_seconds += time.thread_time() - started
        if self.frozen(i):  # whether a frozen layer's own parameters still have gradients is the framework's affair
            answers = {n: a for n, a in answers.items() if n not in ("dgamma", "dbeta", "by_gamma")}
        return answers

    def fitted(self, i: int) -> Mapping[str, np.ndarray]:
        """The statistics of the last fit before step i, as observed; empty when there is none."""
        fit = self.fit_before(i)
        return {} if fit is None else self.result(fit).outputs

    def fit_before(self, i: int) -> int | None:
        """The last fit before step i."""
        return next((j for j in range(i - 1, -1, -1) if self.step(j).call.kind == "fit"), None)

    def got(self, i: int, name: str) -> np.ndarray | None:
        """The observed output or, for the running statistics, the state after the step."""
        result = self.result(i)
        return result.after.get(name) if name.startswith("running_") else result.outputs.get(name)

    def ratios(self, i: int, name: str, tier: Tier) -> np.ndarray | None:
        """error / bound per element; NaN where nothing is said. None when there is no such output or none is expected."""
        key = (i, name, tier)
        if key not in self._errors:
            expected, got = self.expected(i).get(name), self.got(i, name)
            self._errors[key] = None if expected is None or got is None else ratios_of(got, expected, tier)
        return self._errors[key]

    def within(
        self, i: int, names: tuple[str, ...], tier: Tier = "lenient", channels: Mask | None = None
    ) -> Judgement | None:
        """The worst ratio of these outputs over these channels; None when no element can be judged."""
        worst: tuple[float, str, tuple[int, ...]] | None = None
        for name in names:
            found = self.worst(i, name, tier) if channels is None else self._worst_of(i, name, tier, channels)
            if found is not None and (worst is None or found[0] > worst[0]):
                worst = (found[0], name, found[1])
        if worst is None:
            return None
        return Judgement(worst[0], {} if worst[0] <= 1.0 else self.evidence(i, *worst[1:], tier))

    @remembered
    def worst(self, i: int, name: str, tier: Tier) -> tuple[float, tuple[int, ...]] | None:
        """The largest ratio of an output and its index; None when no element can be judged."""
        return self._worst_of(i, name, tier, None)

    def _worst_of(self, i: int, name: str, tier: Tier, channels: Mask | None) -> tuple[float, tuple[int, ...]] | None:
        ratios = self.ratios(i, name, tier)
        if ratios is None or ratios.size == 0:
            return None
        # a ratio of -1 stands for elements of which nothing is said
        visible = np.where(np.isnan(ratios), -1.0, ratios)
        if channels is not None:
            visible = np.where(self.spread(channels, ratios.shape, i), visible, -1.0)
        flat = int(visible.argmax())
        ratio = float(visible.reshape(-1)[flat])
        return None if ratio < 0.0 else (ratio, tuple(int(k) for k in np.unravel_index(flat, visible.shape)))

    def evidence(self, i: int, name: str, index: tuple[int, ...], tier: Tier) -> dict[str, Any]:
        """The element's numbers, for people."""
        expected, got = self.expected(i)[name], self.got(i, name)
        assert got is not None
        same = got.shape == expected.value.shape
        return {
            "step": i,
            "call": self.step(i).call.name,
            "output": name,
            "index": list(index),
            "expected": repr(float(double(expected.value[index]))),
            "got": repr(float(got[index])) if same else f"shape {got.shape}",
            "bound": repr(float(expected.bounds[tier][index])),
        }

    def spread(self, channels: Mask, shape: tuple[int, ...], i: int) -> np.ndarray:
        """A channel mask broadcast to the shape of an output of step i."""
        if len(shape) == 1:
            return channels
        return np.broadcast_to(channels.reshape(self.built(i).config.channel_shape), shape)

    def finite_channels(self, i: int) -> Mask:
        """The channels in which all inputs of the step are finite."""
        return finite_channels(self.built(i), self.step(i).inputs)


def finite_channels(case: Case, names: tuple[str, ...]) -> Mask:
    """The channels in which all these arrays are finite."""
    config = case.config
    finite = np.ones(config.channels, bool)
    for name in names:
        finite &= np.isfinite(case.arrays[name].astype(np.float64)).all(axis=config.reduce_axes)
    return finite


def law(holds: bool, message: str, evidence: dict[str, Any]) -> Judgement:
    """A judgement of a law that holds or does not."""
    return Judgement(0.0 if holds else math.inf, evidence, "" if holds else message)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree in dtype, shape and every bit; all NaNs count as equal, as the law speaks of values."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.tobytes() == b.tobytes():
        return True
    x, y = a.astype(np.float64), b.astype(np.float64)
    return bool(
        np.array_equal(x, y, equal_nan=True)
        and np.array_equal(np.signbit(x) & ~np.isnan(x), np.signbit(y) & ~np.isnan(y))
    )
