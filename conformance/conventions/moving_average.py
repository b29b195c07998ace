"""Experiments on the moving average: its terms, their weights, and the first batch."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from bnspec.conformance.conventions.experiment import Experiment, alternatives, projected
from bnspec.conformance.conventions.laboratory import (
    DECAY_WEIGHS,
    Lab,
    consistent,
    decay_in_force,
    ended,
    layer_case,
    plain_config,
    ratio,
    results,
    said,
    with_config,
)
from bnspec.conformance.conventions.outcome import Outcome
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions

#: Two batches of two values per channel: means 3, 4 and 11, -5; variances 4, 36 and 1, 9; all exact in every dtype.
FIRST, SECOND = ((1.0, -2.0), (5.0, 10.0)), ((10.0, -8.0), (12.0, -2.0))
STEPS = (Step(TRAINING, ("x",), fresh=True), Step(TRAINING, ("x2",)))
UNKNOWN = "the moving average follows none of the known rules"


def two_steps(conventions: Conventions, decay: float = 0.75) -> Case:
    """Two training steps of one layer, from a state far from every default."""
    return layer_case(plain_config(conventions, decay=decay), STEPS, {"x": FIRST, "x2": SECOND})


def worst_of(lab: Lab, case: Case, name: str, conventions: Conventions, decays: Sequence[float]) -> float:
    """The worst ratio of a running statistic over the steps, given the weights ``decays`` of the old state."""
    worst, conventions = (
        0.0,
        dataclasses.replace(conventions, decay_dtype="float64"),
    )  # the decays are passed as stored
    for i, (step, decay) in enumerate(zip(lab.observe(case).steps, decays, strict=True)):
        expected = lab.expect(with_config(case, decay=decay), i, step.before, conventions)
        worst = max(worst, ratio(results(step), expected, (name,), "lenient"))
    return worst


class Averaging(Experiment):
    """The running mean over two steps from the state (5, -7), at decay 3/4."""

    fields = ("first_batch", DECAY_WEIGHS)
    question = "Does the given decay weigh the old value, and does the initial state take part?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        case = two_steps(lab.declared)
        if end := ended(lab.observe(case)):
            return self.undecided(f"two training steps failed: {end}")
        ratios = {}
        for rule, weighs in itertools.product(alternatives("first_batch"), alternatives(DECAY_WEIGHS)):
            decays = [decay_in_force(case.config.decay, rule, weighs, t) for t in range(2)]
            ratios[rule, weighs] = worst_of(lab, case, "running_mean", lab.known, decays)
        left = consistent(ratios)
        lab.average_known = len(left) == 1
        lab.decay_weighs = left[0][1] if lab.average_known else ""
        by_rule, by_weight = (
            {v: min(r for pair, r in ratios.items() if pair[k] == v) for v in alternatives(self.fields[k])}
            for k in range(2)
        )
        return [
            projected("first_batch", 0, left, f"running_mean: {said(by_rule)}"),
            projected(DECAY_WEIGHS, 1, left, f"running_mean: {said(by_weight)}"),
        ]


class RunningCorrection(Experiment):
    """The running variance over the same two steps; with two values per channel the corrections differ by a factor of 2."""

    fields = ("running_correction",)
    question = "Is the variance that is tracked divided by the count, or by one less?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        case = two_steps(lab.declared)
        if not lab.average_known:
            return self.undecided(UNKNOWN)
        decays = [decay_in_force(case.config.decay, lab.known.first_batch, lab.decay_weighs, t) for t in range(2)]
        ratios = {
            c: worst_of(lab, case, "running_var", dataclasses.replace(lab.known, running_correction=c), decays)
            for c in alternatives("running_correction")
        }
        return [Outcome("running_correction", consistent(ratios), f"running_var, count 2: {said(ratios)}")]


class DecayDtype(Experiment):
    """A decay that float32 cannot represent, in a float64 layer."""

    fields = ("decay_dtype",)
    question = "Is the moving average's weight kept as given, or rounded to float32?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if "float64" not in lab.declared.dtypes:
            return self.undecided("float64 is not supported; in narrower layers the bound holds room for either")
        if not lab.average_known:
            return self.undecided(UNKNOWN)
        case = two_steps(lab.declared, decay=0.9)
        if end := ended(lab.observe(case)):
            return self.undecided(f"two training steps failed: {end}")
        kept = case.config.decay
        forms = {
            "float64": kept,
            "float32": float(np.float32(kept)),
            "float32 of 1 - decay": 1.0 - float(np.float32(1.0 - kept)),
        }
        ratios = {}
        for form, decay in forms.items():
            decays = [decay_in_force(decay, lab.known.first_batch, lab.decay_weighs, t) for t in range(2)]
            ratios[form] = worst_of(lab, case, "running_mean", lab.known, decays)
        left = tuple(dict.fromkeys(f.partition(" ")[0] for f in consistent(ratios)))
        return [Outcome("decay_dtype", left, f"decay 0.9: {said(ratios)}")]
