"""Experiments on a layer initialized by the framework, and on a frozen layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bnspec.conformance.conventions.experiment import Experiment
from bnspec.conformance.conventions.laboratory import Lab, layer_case, plain_config, ratio, results
from bnspec.conformance.conventions.moving_average import FIRST
from bnspec.conformance.conventions.outcome import OPEN, Outcome, hidden
from bnspec.model.call import FREEZE, INFERENCE, TRAINING
from bnspec.model.case import Case, Step
from bnspec.model.conventions import HALVES
from bnspec.model.layer import LayerConfig
from bnspec.model.observation import StepResult

OWN = Step(INFERENCE, ("x",), True, (("initial", True),))
HISTORY = (Step(INFERENCE, ("x",), True), Step(FREEZE), Step(TRAINING, ("x",)))
RUNNING = ("running_mean", "running_var")


def begun(lab: Lab, config: LayerConfig) -> StepResult:
    """An inference pass of a layer with the framework's own parameters and state."""
    return lab.observe(layer_case(config, (OWN,), {"x": FIRST})).steps[0]


class InitialState(Experiment):
    """The statistics of a new layer, before any call."""

    fields = ("initial_mean", "initial_var")
    question = "From which statistics does a new layer start?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        step = begun(lab, plain_config(lab.declared))
        if step.status != "ok":
            return [hidden(f, f"a new layer is {step.status}: {step.message}") for f in self.fields]
        found = []
        for field, name in zip(self.fields, RUNNING, strict=True):
            values = np.unique(step.before[name].astype(np.float64))
            possible = (float(values[0]),) if values.size == 1 else ()
            found.append(Outcome(field, possible, f"a new layer's {name} is {values.tolist()}"))
        return found


class StateDtype(Experiment):
    """The dtype of a new layer's statistics, in the widest dtype and with a half-precision x."""

    fields = ("state_dtype",)
    question = "Which dtype do the statistics of a new layer have?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        left: tuple[str, ...] = ("parameters", "float32", "input")
        evidence: list[str] = []
        for config in self.configurations(lab):
            step = begun(lab, config)
            if step.status != "ok":
                continue
            got = step.before["running_mean"].dtype.name
            by = {"parameters": config.parameter_dtype, "float32": "float32", "input": config.dtype}
            left = tuple(v for v in left if by[v] == got)
            evidence.append(f"{got} with {config.dtype} x and {config.parameter_dtype} parameters")
        if not evidence:
            return [hidden("state_dtype", "no new layer answered")]
        reason = "no supported dtypes distinguish them" if len(left) > 1 else ""
        return [Outcome("state_dtype", left, "; ".join(evidence), reason)]

    def configurations(self, lab: Lab) -> list[LayerConfig]:
        """The simplest layer, and one with float32 parameters and a half-precision x, if supported."""
        halves = [d for d in HALVES if d in lab.declared.dtypes and "float32" in lab.declared.half_parameters]
        mixed = [plain_config(lab.declared, dtype=d, parameter_dtype="float32") for d in halves[:1]]
        return [plain_config(lab.declared), *mixed]


class Frozen(Experiment):
    """A training pass of a frozen layer."""

    fields = ("frozen_gradients",)
    question = "How does a frozen layer compute in training mode?"

    def run(self, lab: Lab) -> Sequence[Outcome]:
        case = layer_case(plain_config(lab.declared), HISTORY, {"x": FIRST})
        _, freeze, step = lab.observe(case).steps
        if freeze.status != "ok" or step.status != "ok":
            end = freeze if freeze.status != "ok" else step
            return [hidden("frozen_gradients", f"a frozen layer is {end.status}: {end.message}")]
        ratios = {"batch": self.ratio(lab, case, step), "constants": self.ratio(lab, self.inferring(case), step)}
        left = tuple(rule for rule, found in ratios.items() if found <= 1.0) or (OPEN,)
        said = ", ".join(f"{found:.2g} under {rule}" for rule, found in ratios.items())
        return [Outcome("frozen_gradients", left, f"y and the state after: {said}")]

    def ratio(self, lab: Lab, case: Case, step: StepResult) -> float:
        """The worst error / bound of the case's last step."""
        return ratio(
            results(step), lab.expect(case, len(HISTORY) - 1, step.before, lab.known), ("y", *RUNNING), "lenient"
        )

    def inferring(self, case: Case) -> Case:
        """The case with inference as its last step: the "constants" alternative."""
        return case.with_(steps=(*case.steps[:-1], dataclasses.replace(case.steps[-1], call=INFERENCE)))
