"""Compares the first oracle with the second, element by element, as doubles and as rationals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import second_oracle

from bnspec.arithmetic.quad import double
from bnspec.model.call import INFERENCE_GRADIENTS, TRAINING_GRADIENTS
from bnspec.model.case import Case, Step
from bnspec.model.conventions import Conventions
from bnspec.oracle.oracle import Expected, Oracle

RUNNING = ("running_mean", "running_var")
TRAIN = Step(TRAINING_GRADIENTS, ("x", "dy"))
INFER = Step(INFERENCE_GRADIENTS, ("x", "dy"))


@dataclass
class Comparison:
    """How many elements were compared, and those that lie more than a unit in the last place apart."""

    elements: int = 0
    disagreements: list[str] = field(default_factory=list)

    def add(self, where: str, got: Sequence[float], exact: Sequence[Fraction]) -> None:
        """Compare one output of one channel."""
        for i, (a, e) in enumerate(zip(got, exact, strict=True)):
            self.elements += 1
            apart = second_oracle.ulps(a, e)
            if not apart <= 1.0:
                self.disagreements.append(f"{where}[{i}]: {a!r} is {apart:.3g} ulp from {second_oracle.rounded(e)!r}")

    def compare(self, case: Case, label: str, conventions: Conventions | None = None) -> None:
        """Compare every output of training and inference, with gradients and statistics; count must exceed 1."""
        oracle, conventions = Oracle(case), conventions or Conventions(running_correction=1)
        state = {n: case.arrays[n] for n in RUNNING}
        trained, inferred = (oracle.expect(step, state, conventions) for step in (TRAIN, INFER))
        for c, channel in enumerate(channels_of(case)):
            old = {n: float(state[n][c]) for n in RUNNING}
            for mode, answers, wanted in (
                ("training", trained, training(channel, old, case.config.decay, conventions)),
                ("inference", inferred, inference(channel, old)),
            ):
                for name, exact in wanted.items():
                    self.add(f"{label} {mode} {name} channel {c}", channel_of(case, answers[name], c), exact)


def training(
    channel: second_oracle.Channel, old: Mapping[str, float], decay: float, conventions: Conventions
) -> dict[str, list[Fraction]]:
    """Every output of a training step."""
    mean, var = channel.mean, channel.corrected(conventions.normalising_correction)
    moved = channel.corrected(conventions.running_correction)
    dgamma, dbeta = channel.parameter_gradients(mean, var)
    return {
        "y": channel.outputs(mean, var),
        "dx": channel.training_dx(conventions.normalising_correction),
        "dgamma": [dgamma],
        "dbeta": [dbeta],
        "running_mean": [channel.running(old["running_mean"], mean, decay)],
        "running_var": [channel.running(old["running_var"], moved, decay)],
    }


def inference(channel: second_oracle.Channel, old: Mapping[str, float]) -> dict[str, list[Fraction]]:
    """Every output of inference with the old statistics."""
    mean, var = (Fraction(old[n]) for n in RUNNING)
    dgamma, dbeta = channel.parameter_gradients(mean, var)
    return {
        "y": channel.outputs(mean, var),
        "dx": channel.inference_dx(var),
        "dgamma": [dgamma],
        "dbeta": [dbeta],
    }


def channel_of(case: Case, expected: Expected, c: int) -> list[float]:
    """One channel of an output, rounded to double."""
    value = double(expected.value)
    rows = np.moveaxis(value, case.config.channel_axis, 0) if value.ndim > 1 else value
    flat: list[float] = rows[c].reshape(-1).tolist()
    return flat


def channels_of(case: Case) -> Iterator[second_oracle.Channel]:
    """The case's channels for the second oracle."""
    config = case.config
    rows = [
        np.moveaxis(case.arrays[n].astype(np.float64), config.channel_axis, 0).reshape(config.channels, -1)
        for n in ("x", "dy")
    ]
    for c in range(config.channels):
        gamma, beta = (float(case.arrays[n][c]) for n in ("gamma", "beta"))
        yield second_oracle.Channel(*(r[c].tolist() for r in rows), gamma, beta, config.epsilon)
