"""Experiments on batches with too few values."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bnspec.conformance.conventions.experiment import Experiment
from bnspec.conformance.conventions.laboratory import Lab, ended, layer_case, plain_config, ratio, results
from bnspec.conformance.conventions.moving_average import FIRST, UNKNOWN, two_steps
from bnspec.conformance.conventions.outcome import OPEN, Outcome
from bnspec.model.call import TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.observation import StepResult

RUNNING = ("running_mean", "running_var")
TRAINING_STEP = Step(TRAINING, ("x",), fresh=True)


def trained_on(lab: Lab, rows: Sequence[Sequence[float]]) -> tuple[Case, StepResult]:
    """One training step on these rows."""
    case = layer_case(plain_config(lab.declared), (TRAINING_STEP,), {"x": rows})
    return case, lab.observe(case).steps[0]


def stored(step: StepResult) -> str:
    """The state after a step, as text."""
    return ", ".join(f"{n} {step.after[n].astype(np.float64).tolist()}" for n in RUNNING)


class CountOne(Experiment):
    """Training on one value per channel; the control is successful training on two."""

    fields = ("count_one",)
    question = "What does training with one value per channel do?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if end := ended(lab.observe(two_steps(lab.declared))):
            return self.undecided(f"training on two values failed, too: {end}")
        case, step = trained_on(lab, FIRST[:1])
        if step.status == "error":
            return [Outcome("count_one", ("raises",), step.message)]
        if step.status != "ok":
            return self.undecided(f"{step.status}: {step.message}")
        if not lab.average_known:
            return self.undecided(UNKNOWN)
        biased = dataclasses.replace(lab.known, count_one="biased")
        found = ratio(results(step), lab.after(case, 0, step.before, biased, 0), RUNNING, "lenient")
        if found <= 1.0:
            return [Outcome("count_one", ("biased",), f"a variance of 0 enters the average: {found:.2g}")]
        return [Outcome("count_one", (OPEN,), f"neither: {stored(step)}")]


class EmptyBatch(Experiment):
    """Training on an empty batch, with the same control."""

    fields = ("empty_batch",)
    question = "What does training on an empty batch do?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        if end := ended(lab.observe(two_steps(lab.declared))):
            return self.undecided(f"training on two values failed, too: {end}")
        _, step = trained_on(lab, ())
        if step.status == "error":
            return [Outcome("empty_batch", ("raises",), step.message)]
        if step.status != "ok":
            return self.undecided(f"{step.status}: {step.message}")
        if all(step.after[n].tobytes() == step.before[n].tobytes() for n in RUNNING):
            return [Outcome("empty_batch", ("keeps_state",), "the state is the same, bit by bit")]
        return [Outcome("empty_batch", (OPEN,), f"neither: {stored(step)}")]
