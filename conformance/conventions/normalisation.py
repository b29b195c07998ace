"""Experiments on normalisation: the divisor of the variance, and the stored epsilon."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bnspec.conformance.conventions.bisection import located, shortest
from bnspec.conformance.conventions.experiment import Experiment, alternatives
from bnspec.conformance.conventions.laboratory import (
    Lab,
    consistent,
    ended,
    layer_case,
    plain_config,
    ratio,
    results,
    said,
)
from bnspec.conformance.conventions.moving_average import FIRST
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.model.call import INFERENCE, TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions

TRAINING_STEP, INFERENCE_STEP = Step(TRAINING, ("x",), fresh=True), Step(INFERENCE, ("x",), fresh=True)
#: Epsilons from a size that every framework accepts to below any documented minimum; powers of two, exact everywhere.
EPSILONS = tuple(2.0**-k for k in (4, 10, 17, 20, 24))


class NormalisingCorrection(Experiment):
    """y of two values per channel, 1, 5 and -2, 10, whose statistics are exact in every algorithm."""

    fields = ("normalising_correction",)
    question = "Is the variance that normalises in training divided by the count, or by one less?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        case = layer_case(plain_config(lab.declared), (TRAINING_STEP,), {"x": FIRST})
        observation = lab.observe(case)
        if end := ended(observation):
            return self.undecided(f"a training step failed: {end}")
        rows = np.array(FIRST)
        ratios = {}
        for correction in alternatives("normalising_correction"):
            # exact statistics: y and its bound are those of inference with them
            by = {"running_mean": rows.mean(axis=0), "running_var": rows.var(axis=0, ddof=correction)}
            twin = layer_case(case.config, (INFERENCE_STEP,), {"x": FIRST}, **{n: a.tolist() for n, a in by.items()})
            expected = lab.expect(twin, 0, twin.arrays, lab.known)
            ratios[correction] = ratio(results(observation.steps[0]), expected, ("y",), "lenient")
        return [Outcome("normalising_correction", consistent(ratios), f"y, count 2: {said(ratios)}")]


class EpsilonDtype(Experiment):
    """An epsilon of the order of the variance that float32 cannot represent, in a float64 layer."""

    fields = ("epsilon_dtype",)
    question = "Is epsilon kept as given, or rounded to float32?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if "float64" not in lab.declared.dtypes:
            return self.undecided("float64 is not supported; in narrower layers the bound holds room for either")
        config = plain_config(lab.declared, epsilon=0.1)
        case = layer_case(config, (INFERENCE_STEP,), {"x": FIRST}, running_var=(0.125, 0.25))
        observation = lab.observe(case)
        if end := ended(observation):
            return self.undecided(f"inference failed: {end}")
        ratios = {}
        for dtype in alternatives("epsilon_dtype"):
            conventions = dataclasses.replace(lab.known, epsilon_dtype=dtype, epsilon_minimum=0.0)
            expected = lab.expect(case, 0, observation.steps[0].before, conventions)
            ratios[dtype] = ratio(results(observation.steps[0]), expected, ("y",), "lenient")
        return [Outcome("epsilon_dtype", consistent(ratios), f"y, epsilon 0.1: {said(ratios)}")]


class EpsilonMinimum(Experiment):
    """Inference with a running variance of 0, where only 1 / sqrt(epsilon) remains, and epsilons down to 2^-24."""

    fields = ("epsilon_minimum",)
    question = "Are small epsilons taken as given, or replaced by a larger value?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        cases = [self.case(lab, epsilon) for epsilon in EPSILONS]
        for case in cases:
            if end := ended(lab.observe(case)):
                return [self.nothing(f"inference with epsilon {case.config.epsilon:g} failed: {end}")]

        def error(minimum: float) -> float:
            return max(self.error(lab, c, minimum) for c in cases)

        if (honoured := error(0.0)) <= 1.0:
            smallest = EPSILONS[-1]
            evidence = f"as given down to {smallest:.2g}: {honoured:.2g}"
            # a minimum of at most the smallest epsilon replaces none of these
            return [Outcome("epsilon_minimum", (0.0,), evidence, interval=(0.0, smallest))]
        y = lab.observe(cases[-1]).steps[0].outputs["y"].astype(np.float64).reshape(-1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            guess = float(np.square(1.0 / y[0]))  # a starting point; the bound decides
        interval = located(lambda m: error(m) <= 1.0, guess)
        if interval is None:
            return [self.nothing(f"{honoured:.2g} without a minimum, and none explains it", ())]
        value = shortest(interval)
        evidence = f"{error(value):.2g} if smaller ones are replaced by it, {honoured:.2g} as given"
        return [Outcome("epsilon_minimum", (value,), evidence, interval=interval)]

    def case(self, lab: Lab, epsilon: float) -> Case:
        """x of 1 and 2 with gamma 1, beta 0, mean 0, variance 0."""
        config = plain_config(lab.declared, epsilon=epsilon)
        ones, zeros = (1.0, 1.0), (0.0, 0.0)
        state = {"gamma": ones, "beta": zeros, "running_mean": zeros, "running_var": zeros}
        return layer_case(config, (INFERENCE_STEP,), {"x": ((1.0, 2.0),)}, **state)

    def error(self, lab: Lab, case: Case, minimum: float) -> float:
        """error / bound of y under this minimum."""
        conventions: Conventions = dataclasses.replace(lab.known, epsilon_minimum=minimum)
        step = lab.observe(case).steps[0]
        return ratio(results(step), lab.expect(case, 0, step.before, conventions), ("y",), "lenient")

    def nothing(self, reason: str, left: tuple[float, ...] = (0.0, np.inf)) -> Outcome:
        """The outcome without an inferred minimum."""
        return Outcome("epsilon_minimum", left, reason, reason, interval=(0.0, np.inf) if left else None)
