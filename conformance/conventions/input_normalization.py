"""Experiments on input normalization: whether it exists, and its epsilon."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bnspec.conformance.conventions.bisection import located, shortest
from bnspec.conformance.conventions.experiment import Experiment
from bnspec.conformance.conventions.features import BEYOND
from bnspec.conformance.conventions.laboratory import Lab, ended, laid, plain_config, ratio
from bnspec.conformance.conventions.outcome import Outcome, hidden
from bnspec.model.call import FIT, TRANSFORM
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions

#: Features of mean 0 and variance 2^-24 and 2^-20: an epsilon of any usual size would swamp them.
SPREADS = (2.0**-12, 2.0**-10)


def fitted(conventions: Conventions) -> Case:
    """Fit on two values per feature and transform them, in float32 if supported."""
    dtype = "float32" if "float32" in conventions.dtypes else plain_config(conventions).dtype
    config = plain_config(conventions, dtype=dtype, affine=False, epsilon=0.0, decay=0.0)
    x = laid(config, [[-s for s in SPREADS], list(SPREADS)])
    return Case("input_norm", config, {"x": x}, (Step(FIT, ("x",), fresh=True), Step(TRANSFORM, ("x",))))


class InputNormalization(Experiment):
    """A fit and a transform."""

    fields = ("input_normalization",)
    question = "Is there a layer for input normalization?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if not lab.declared.input_normalization:
            return [hidden("input_normalization", BEYOND)]
        end = ended(lab.observe(fitted(lab.declared)))
        return [Outcome("input_normalization", (not end,), end or "a fit and a transform answer")]


class InputEpsilon(Experiment):
    """The transform of features whose variance is 2^-24 and 2^-20."""

    fields = ("input_epsilon",)
    question = "What does input normalization add to the variance under the root?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if not lab.declared.input_normalization:
            return [hidden("input_epsilon", "input normalization is not supported")]
        case = fitted(lab.declared)
        fit, transform = lab.observe(case).steps
        if end := ended(lab.observe(case)):
            return [Outcome("input_epsilon", (0.0, np.inf), "", end, interval=(0.0, np.inf))]

        def error(epsilon: float) -> float:
            conventions = dataclasses.replace(lab.known, input_epsilon=epsilon)
            return ratio(transform.outputs, lab.expect(case, 1, fit.outputs, conventions), ("y",), "lenient")

        var = SPREADS[0] ** 2
        if (nothing := error(0.0)) <= 1.0:
            most = located(lambda e: error(max(e - var, 0.0)) <= 1.0, var)
            highest = 0.0 if most is None else most[1] - var
            evidence = f"variance {var:.2g}: {nothing:.2g} with 0; more than {highest:.2g} would show"
            return [Outcome("input_epsilon", (0.0,), evidence, interval=(0.0, highest))]
        y = transform.outputs["y"].astype(np.float64).reshape(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = float(np.square(SPREADS[0] / y[0])) - var  # a starting point; the bound decides
        interval = located(lambda e: error(e) <= 1.0, guess)
        if interval is None:
            return [Outcome("input_epsilon", (), f"{nothing:.2g} with 0, and no epsilon explains it")]
        value = shortest(interval)
        return [
            Outcome("input_epsilon", (value,), f"{error(value):.2g} with it, {nothing:.2g} with 0", interval=interval)
        ]
