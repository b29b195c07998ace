"""Experiments on half precision: the arithmetic that explains the errors, and the dtype of the output."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bnspec.conformance.conventions.experiment import Experiment, alternatives
from bnspec.conformance.conventions.laboratory import (
    Lab,
    consistent,
    ended,
    layer_case,
    parameter_dtypes,
    plain_config,
    ratio,
    results,
    said,
)
from bnspec.conformance.conventions.moving_average import FIRST, UNKNOWN
from bnspec.conformance.conventions.outcome import Outcome, hidden
from bnspec.model.buffers import dtype_of
from bnspec.model.call import INFERENCE, TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES, Conventions
from bnspec.model.precision import PRECISIONS

#: From the tightest bound to the loosest: each explains everything that the previous one explains.
TIGHTEST = ("float32", "parameters", "input")
STEPS = (Step(TRAINING, ("x",), fresh=True), Step(INFERENCE, ("x",), fresh=True))
MANY = 64
NO_HALVES = "half precision is not supported"
Error = Callable[[Lab, Case, Mapping[str, Any]], float]


def half_forms(conventions: Conventions) -> Iterator[tuple[str, str]]:
    """The supported pairs of dtypes of half-precision x and parameters."""
    for dtype in HALVES:
        if dtype in conventions.dtypes:
            yield from ((dtype, parameters) for parameters in parameter_dtypes(conventions, dtype))


class HalfPrecision(Experiment):
    """Data that float32 computes almost exactly and half precision clearly does not: pairs whose mean it cannot represent,
    and values that sum to 0 through partial sums it cannot represent, so that only rounding errors remain. The tightest
    precision that explains every result is inferred: for the statistics from the running statistics, for the arithmetic
    from y, given that of the statistics.
    """

    fields = ("half_statistics", "half_arithmetic")
    question = "In which precision are half-precision statistics reduced, and values normalised?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        cases = [c for form in half_forms(lab.declared) for c in self.cases(lab, *form)]
        if not cases:
            return [hidden(f, NO_HALVES) for f in self.fields]
        if not lab.average_known:
            return self.undecided(UNKNOWN)
        for case in cases:
            if end := ended(lab.observe(case)):
                return self.undecided(f"{case.config.dtype}, {case.config.parameter_dtype} parameters: {end}")
        statistics = self.tightest(lab, "half_statistics", cases, {}, self.tracked)
        if not statistics.possible:
            return [statistics, Outcome("half_arithmetic", TIGHTEST, "", "the precision of the statistics is unknown")]
        given = {"half_statistics": statistics.possible[0]}
        return [statistics, self.tightest(lab, "half_arithmetic", cases, given, self.normalised)]

    def tightest(self, lab: Lab, field: str, cases: Sequence[Case], given: Mapping[str, Any], error: Error) -> Outcome:
        """The first precision of TIGHTEST that explains all cases, with its other name if it has two."""
        ratios = {p: {c.id: error(lab, c, {**given, field: p}) for c in cases} for p in TIGHTEST}
        worst = {p: max(by_case.values()) for p, by_case in ratios.items()}
        evidence = said(worst)
        if worst["float32"] > 1.0:
            case = max(cases, key=lambda c: ratios["float32"][c.id])
            evidence += f"; most in {case.config.dtype} with {case.config.parameter_dtype} parameters"
        left = consistent(worst)[:1]
        kinds = {c.config.parameter_dtype in HALVES for c in cases}
        twin = {"parameters", "float32" if kinds == {False} else "input"}
        if len(kinds) == 1 and twin & set(left):
            reason = "only one dtype of parameters is supported with half precision: two names for the same"
            return Outcome(field, tuple(v for v in TIGHTEST if v in twin), evidence, reason)
        return Outcome(field, left, evidence)

    def cases(self, lab: Lab, dtype: str, parameters: str) -> Iterator[Case]:
        """Pairs three steps apart, whose variance shows a rounded mean; pairs one apart; and the sums; in these dtypes."""
        config = plain_config(lab.declared, dtype=dtype, parameter_dtype=parameters, epsilon=2.0**-7, decay=0.5)
        step = 16.0 * PRECISIONS[dtype].unit_roundoff  # between neighbours in [8, 16); the means lie between two
        eight = {"running_mean": (8.0, -8.0), "running_var": (0.0, 0.0)}
        for low, high in ((8.0 + step, 8.0 + 4.0 * step), (7.5, 8.5 + step)):
            yield layer_case(config, STEPS, {"x": ((low, -low), (high, -high))}, **eight)
        half = np.random.RandomState(7).standard_normal((MANY // 2, config.channels))
        rows = np.random.RandomState(8).permutation(np.concatenate([half, -half]).astype(dtype_of(dtype)))
        yield layer_case(config, STEPS, {"x": rows}, running_mean=(0.0, 0.0), running_var=(1.0, 1.0))

    def tracked(self, lab: Lab, case: Case, precisions: Mapping[str, Any]) -> float:
        """The worst error / bound of the running statistics in these precisions."""
        step = lab.observe(case).steps[0]
        expected = lab.after(case, 0, step.before, dataclasses.replace(lab.known, **precisions), 0)
        return ratio(results(step), expected, ("running_mean", "running_var"), "permissive")

    def normalised(self, lab: Lab, case: Case, precisions: Mapping[str, Any]) -> float:
        """The worst error / bound of y, in training and in inference; in inference only if training divides by m - 1."""
        conventions = dataclasses.replace(lab.known, **precisions)
        first = 1 if lab.known.normalising_correction else 0
        steps = list(enumerate(lab.observe(case).steps))[first:]
        return max(
            ratio(results(s), lab.expect(case, i, s.before, conventions), ("y",), "permissive") for i, s in steps
        )


class OutputDtype(Experiment):
    """y of half-precision x with float32 parameters, whose promotion is float32."""

    fields = ("output_dtype",)
    question = "Has y the dtype of x, or the promotion of x's and the parameters'?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        found: set[str] = set()
        if not any(True for _ in half_forms(lab.declared)):
            return [hidden("output_dtype", NO_HALVES)]
        for dtype, parameters in half_forms(lab.declared):
            if parameters == "float32":
                config = plain_config(lab.declared, dtype=dtype, parameter_dtype=parameters)
                for step in lab.observe(layer_case(config, STEPS, {"x": FIRST})).steps:
                    if step.status != "ok":
                        return self.undecided(f"{dtype}: {step.status}: {step.message}")
                    kind = step.outputs["y"].dtype.name
                    found.add({dtype: "input", parameters: "promoted"}.get(kind, kind))
        if not found:
            return self.undecided(
                "float32 parameters are not supported with half precision: all promotions are x's dtype"
            )
        known = tuple(v for v in alternatives("output_dtype") if found == {v})
        return [Outcome("output_dtype", known, "y of half-precision x is " + " and ".join(sorted(found)))]
