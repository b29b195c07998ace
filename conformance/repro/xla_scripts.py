"""Scripts in TensorFlow whose step is one function compiled by XLA."""

from __future__ import annotations

import dataclasses

from bnspec.case import Step
from bnspec.conformance.repro.literals import NoScript
from bnspec.conformance.repro.tensorflow_scripts import MomentsWriter


class XlaWriter(MomentsWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a tf.function with jit_compile=True."""

    def build(self) -> list[str]:
        """Parameters and running statistics; the functions are written where they are first called."""
        self.compiled: set[str] = getattr(self, "compiled", set())
        return super().build()

    def perform(self, step: Step, y: str) -> list[str]:
        """The four passes. Raises NoScript: the further calls, which are not offered compiled."""
        if step.call.endswith(("_second_order", "_tangent", "_some_gradients", "_masked", "_masked_gradients")):
            raise NoScript(f"{step.call} is not offered compiled by XLA")
        return super().perform(step, y)

    def call(self, step: Step, y: str) -> list[str]:
        """The function of the step, and its call."""
        inner = dataclasses.replace(step, inputs=("x", "dy")[: len(step.inputs)])
        leaves, state = list(self.leaves()), ["running_mean", "running_var"] if self.reads_state() else []
        gradients = ["dx", "dgamma", "dbeta"][: 1 + len(leaves)] if step.call.endswith("_gradients") else []
        results = [*gradients, *(state if step.call.startswith("training") else [])]
        function = [
            "@tf.function(jit_compile=True)",
            f"def {step.call}({', '.join([*inner.inputs, *leaves, *state])}):",
            *("    " + line for line in super().call(inner, "y")),
            f"    return {', '.join(['y', *results])}",
        ]
        text = "\n".join(function)
        lines = [] if text in self.compiled else function
        self.compiled.add(text)
        given = ", ".join([*(self.given(n) for n in step.inputs), *leaves, *state])
        return [*lines, f"{', '.join([y, *results])} = {step.call}({given})"]
