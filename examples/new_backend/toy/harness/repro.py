"""Repro scripts in the toy framework."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.literals import Literal, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step


class ToyWriter(Writer):
    """``toynorm.BatchNorm`` as its users call it."""

    packages: tuple[str, ...] = ("toynorm",)
    imports: tuple[str, ...] = ("import toynorm",)

    def tensor(self, value: Literal) -> str:
        """A NumPy array."""
        return numpy_expression(value, f'"{value.dtype}"')

    def build(self) -> Lines:
        """The layer, with parameters and state put in."""
        lines = [f"{n} = {self.array(n)}" for n in ("gamma", "beta", "running_mean", "running_var")]
        numbers = f"eps={self.config.epsilon!r}, momentum={1.0 - self.config.decay!r}"
        return [*lines, f"layer = toynorm.BatchNorm(gamma, beta, running_mean, running_var, {numbers})"]

    def restart(self) -> Lines:
        """The state that the case starts from."""
        return ["layer.running_mean, layer.running_var = running_mean, running_var"]

    def call(self, step: Step, y: str) -> Lines:
        """One call of the layer, or of its backward pass."""
        given = ", ".join(self.given(n) for n in step.inputs)
        training = step.call.mode == "training"
        if step.call.has_gradients:
            return [f"{y}, dx, dgamma, dbeta = layer.backward({given}, training={training})"]
        return [f"{y} = layer({given}, training={training})"]

    def variable(self, name: str) -> str:
        """The state is the layer's; the rest has the names that the lines give."""
        return f"layer.{name}" if name.startswith("running_") else name


WRITERS: Mapping[str, type[Writer]] = {"toy": ToyWriter}
