"""A case and what came back, side by side with the oracle: what every check reads.

An ``Examination`` answers, for a step: what was expected, how far off each element is, as error / bound; and it makes the
judgement of a relation that is broken, with its evidence.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import SupportsFloat, SupportsInt

import numpy as np

from bnspec.arithmetic.quad import double
from bnspec.bounds.batch_norm import debiased_error
from bnspec.conformance.checks.judgement import KEPT, Judgement
from bnspec.model.call import (
    RESET,
    TRAINING_GRADIENTS,
    TRAINING_SECOND_ORDER,
    TRAINING_STATE_GRADIENTS,
    TRAINING_TANGENT_GRADIENT,
    TRAINING_THIRD_ORDER,
)
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation, StepResult
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier
from bnspec.oracle.comparison import error_of, ratios_to
from bnspec.oracle.memoize import remembered
from bnspec.oracle.oracle import RUNNING, Expected, Oracle
from bnspec.reports.run.evidence import Evidence, Relation, recorded, sentence

Mask = np.ndarray  # (C,) booleans: the channels that a clause speaks of
#: What evidence can hold of a value: a number, a shape, or a name.
Recordable = SupportsFloat | tuple[int, ...] | str | None


#: By constant statistics: a loss that reads them has the gradients of one that does not, and dx does not depend on x.
BY_CONSTANTS = {
    TRAINING_STATE_GRADIENTS: TRAINING_GRADIENTS,
    TRAINING_TANGENT_GRADIENT: TRAINING_SECOND_ORDER,
    TRAINING_THIRD_ORDER: TRAINING_SECOND_ORDER,
}
#: The results that are then 0.
ZERO_BY_CONSTANTS = {TRAINING_TANGENT_GRADIENT: "by_x", TRAINING_THIRD_ORDER: "third"}


class Examination:
    """One case on one backend, under the backend's conventions.

    Attributes:
        oracle_seconds: processor time spent in the oracle for it.
        reasons: by clause, why the first step that the clause asks for was declined.
    """

    def __init__(self, case: Case, observation: Observation, conventions: Conventions, oracle: Oracle) -> None:
        self.case, self.observation, self.conventions, self.oracle = case, observation, conventions, oracle
        self.oracle_seconds = 0.0
        self.reasons: dict[str, str] = {}

    def step(self, i: int) -> Step:
        """The i-th call."""
        return self.case.steps[i]

    def result(self, i: int) -> StepResult:
        """How the i-th call ended."""
        return self.observation.steps[i]

    @remembered
    def oracle_at(self, i: int) -> Oracle:
        """The oracle of the case as the layer of step i sees it: with what it was built from, and what was set since."""
        return self.oracle.overridden(self.case.overrides(i, lambda j: self.result(j).status == "ok"))

    def built(self, i: int) -> Case:
        """The case as the layer of step i sees it."""
        return self.oracle_at(i).case

    @remembered
    def frozen(self, i: int) -> bool:
        """Whether the layer of step i is frozen."""
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
        zero = None
        if self.frozen(i) and step.call.mode == "training":
            if self.conventions.frozen_gradients == "unspecified" or step.call.has_mask:
                return {}
            if self.conventions.frozen_gradients == "constants":
                zero = ZERO_BY_CONSTANTS.get(step.call)
                step = dataclasses.replace(step, call=BY_CONSTANTS.get(step.call, step.call).in_mode("inference"))
        started = time.thread_time()
        fit = self.fit_before(i) if self.case.subject == "input_norm" else None
        answers = self.oracle_at(i).expect(step, before, self.conventions, None if fit is None else self.step(fit))
        if self.conventions.first_batch != "average" and step.call.mode == "training" and self.began(i) is not None:
            answers = {
                **self.of_the_beginning(i, step, before),
                **{n: a for n, a in answers.items() if n not in RUNNING},
            }
        self.oracle_seconds += time.thread_time() - started
        if zero is not None:
            return {zero: answers["by_x"]} if answers else {}
        # whether a frozen layer's own parameters still have gradients is the framework's affair; which, is not
        if self.frozen(i):
            own = [n for n in ("dgamma", "dbeta", "by_gamma") if (got := self.got(i, n)) is None or not got.any()]
            answers = {n: a for n, a in answers.items() if n not in own}
        return answers

    def began(self, i: int) -> int | None:
        """How many training steps the layer of step i has taken since it had its own initial values; None where it was given others.

        A copy has taken those of its original; from then on each takes its own.
        """
        built = self.case.built_at(i)
        here: int | None = 0 if self.step(built).option("initial") else None
        there = here
        for j in range(built, i):
            call = self.step(j).call
            if self.result(j).status != "ok":
                continue
            if call == RESET:
                here = 0
            elif call.kind == "clone":
                there = here
            elif call.kind == "swap":
                here, there = there, here
            elif call.mode == "training" and here is not None:
                here += 1
        return here

    def of_the_beginning(self, i: int, step: Step, before: Mapping[str, np.ndarray]) -> dict[str, Expected]:
        """The running statistics after a layer's first training step, where the initial values do not enter the average: the batch's.

        A debiased average has them with ``debiased_error``. Later steps are not judged.
        """
        if self.began(i):
            return {}
        oracle = self.oracle_at(i)
        decay = oracle.case.config.decay
        if decay == 1.0:
            return {}
        found = oracle.overridden((("decay", 0.0),)).expect(step, before, self.conventions)
        found = {name: answer for name, answer in found.items() if name in RUNNING}
        if self.conventions.first_batch == "replace":
            return found
        precision = PRECISIONS[self.case.config.parameter_dtype]
        more = {name: debiased_error(answer.rounded, decay, precision) for name, answer in found.items()}
        return {
            name: dataclasses.replace(answer, bounds={tier: b + more[name] for tier, b in answer.bounds.items()})
            for name, answer in found.items()
        }

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

    @remembered
    def ratios(self, i: int, name: str, tier: Tier) -> np.ndarray | None:
        """error / bound per element; NaN where nothing is said. None when there is no such output or none is expected."""
        expected = self.expected(i).get(name)
        return None if expected is None else self.ratios_to(i, name, expected.bounds[tier])

    def ratios_to(self, i: int, name: str, bound: np.ndarray) -> np.ndarray | None:
        """The same to another bound, broadcastable to the output."""
        expected, error = self.expected(i)[name], self.error(i, name)
        got = self.got(i, name)
        if got is None:
            return None
        if error is None:
            return np.full(expected.value.shape, math.inf)
        return ratios_to(got, expected, error, bound)

    @remembered
    def error(self, i: int, name: str) -> np.ndarray | None:
        """The absolute error of an output per element; None where it is missing or has another shape."""
        expected, got = self.expected(i)[name], self.got(i, name)
        return None if got is None or got.shape != expected.value.shape else error_of(got, expected)

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
        ratio, name, index = worst
        return Judgement.kept(ratio) if ratio <= 1.0 else self.beyond(i, name, index, tier, ratio)

    @remembered
    def worst(self, i: int, name: str, tier: Tier) -> tuple[float, tuple[int, ...]] | None:
        """The largest ratio of an output and its index; None when no element can be judged."""
        return self._worst_of(i, name, tier, None)

    def _worst_of(self, i: int, name: str, tier: Tier, channels: Mask | None) -> tuple[float, tuple[int, ...]] | None:
        ratios = self.ratios(i, name, tier)
        if ratios is None or ratios.size == 0:
            return None
        if channels is not None:
            ratios = np.where(self.spread(channels, ratios.shape, i), ratios, math.nan)
        ratio = float(np.fmax.reduce(ratios, axis=None))  # fmax passes over NaN: elements of which nothing is said
        if math.isnan(ratio):
            return None
        flat = int((ratios == ratio).argmax())
        return ratio, tuple(int(k) for k in np.unravel_index(flat, ratios.shape))

    def beyond(self, i: int, name: str, index: tuple[int, ...], tier: Tier, ratio: float) -> Judgement:
        """The judgement of an output whose error at this element exceeds its bound, or that has another shape."""
        expected, got = self.expected(i)[name], self.got(i, name)
        assert got is not None
        if got.shape != expected.value.shape:
            return self.misshapen(i, name, expected.value.shape, got.shape)
        numbers = double(expected.value[index]), got[index], expected.bounds[tier][index]
        return self.broken(i, "within_bound", output=name, index=index, numbers=numbers, ratio=ratio)

    def misshapen(self, i: int, name: str, wanted: tuple[int, ...], got: tuple[int, ...]) -> Judgement:
        """The judgement of an output that has the shape ``got`` where ``wanted`` is its shape."""
        return self.broken(i, "shape", f"{name} has shape {got}, expected {wanted}", output=name, numbers=(wanted, got))

    def broken(
        self,
        i: int,
        relation: Relation,
        message: str = "",
        *,
        output: str | None = None,
        index: Sequence[SupportsInt] | None = None,
        numbers: Sequence[Recordable] = (),
        ratio: float = math.inf,
        compared_with: int | None = None,
        names: Sequence[str] = (),
        exception: str | None = None,
    ) -> Judgement:
        """The judgement that step i breaks a relation.

        Args:
            message: one line for a person; by default made from the evidence.
            output, index, ratio, compared_with, names, exception: as ``Evidence`` has them.
            numbers: expected, got and bound, as far as there are any; None for one that is not known.
        """
        expected, got, bound = (*map(recorded, numbers), None, None, None)[:3]
        evidence = Evidence(
            step=i,
            call=self.step(i).call.name,
            relation=relation,
            output=output,
            index=None if index is None else tuple(int(k) for k in index),
            expected=expected,
            got=got,
            bound=bound,
            ratio=recorded(ratio),
            compared_with=compared_with,
            names=tuple(names),
            exception=exception,
        )
        return Judgement(ratio, evidence, message or sentence(evidence))

    def worst_element(
        self,
        i: int,
        relation: Relation,
        output: str,
        ratio: np.ndarray,
        numbers: tuple[np.ndarray, np.ndarray, np.ndarray],
        message: str = "",
        compared_with: int | None = None,
    ) -> Judgement:
        """The judgement of the element with the largest ratio; ``numbers``: expected, got and bound, in ratio's shape."""
        index = np.unravel_index(int(ratio.argmax()), ratio.shape)
        largest = float(ratio[index])
        if largest <= 1.0:
            return Judgement.kept(largest)
        return self.broken(
            i,
            relation,
            message,
            output=output,
            index=index,
            numbers=[n[index] for n in numbers],
            ratio=largest,
            compared_with=compared_with,
        )

    def bits(
        self,
        i: int,
        relation: Relation,
        output: str,
        pair: tuple[np.ndarray, np.ndarray],
        message: str,
        compared_with: int | None = None,
    ) -> Judgement:
        """The judgement that an array has another's bits; ``pair``: what was expected, and what came."""
        expected, got = pair
        if same_bits(expected, got):
            return KEPT
        index = first_index(_differing(expected, got)) if expected.shape == got.shape else None
        numbers = () if index is None else (expected[index], got[index])
        return self.broken(
            i, relation, message, output=output, index=index, numbers=numbers, compared_with=compared_with
        )

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


def first_index(mask: np.ndarray) -> tuple[int, ...] | None:
    """The index of the first element that is true; None where none is."""
    found = np.nonzero(mask)
    return tuple(int(k[0]) for k in found) if found[0].size else None


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree in dtype, shape and every bit; all NaNs count as equal, as the law speaks of values."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.tobytes() == b.tobytes():
        return True
    return not _differing(a, b).any()


def _differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays of one shape differ in value or sign."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    return np.asarray(((x != y) | (np.signbit(x) != np.signbit(y))) & ~(np.isnan(x) & np.isnan(y)))
