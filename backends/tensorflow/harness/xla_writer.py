"""Scripts in TensorFlow whose step is one function compiled by XLA."""

from __future__ import annotations

import dataclasses

from bnspec.backends.tensorflow.harness.writer import MomentsWriter
from bnspec.model.call import Kind
from bnspec.model.case import Step

#: What a pass gives besides y, by the kind of the call.
RESULTS: dict[Kind, tuple[str, ...]] = {
    "some_gradients": ("dx", "dgamma", "dbeta"),
    "masked_gradients": ("dx", "dgamma", "dbeta"),
    "gradients": ("dx", "dgamma", "dbeta"),
    "second_order": ("by_x", "by_dy", "by_gamma"),
    "tangent": ("along",),
}


class XlaWriter(MomentsWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a tf.function with jit_compile=True."""

    def build(self) -> list[str]:
        """Parameters and running statistics; the functions are written where they are first called."""
        self.compiled: set[str] = getattr(self, "compiled", set())
        return super().build()

    def perform(self, step: Step, y: str) -> list[str]:
        """The function of the step, and its call."""
        if step.call.between:
            return super().perform(step, y)
        inner = dataclasses.replace(step, inputs=step.call.inputs)
        leaves, state = list(self.leaves()), ["running_mean", "running_var"] if self.reads_state() else []
        results = [*self.results(step), *(state if step.call.mode == "training" else [])]
        function = [
            "@tf.function(jit_compile=True)",
            f"def {step.call}({', '.join([*inner.inputs, *leaves, *state])}):",
            *("    " + line for line in super().perform(inner, "y")),
            f"    return {', '.join(['y', *results])}",
        ]
        text = "\n".join(function)
        lines = [] if text in self.compiled else function
        self.compiled.add(text)
        given = ", ".join([*(self.given(n) for n in step.inputs), *leaves, *state])
        return [*lines, f"{', '.join([y, *results])} = {step.call}({given})"]

    def results(self, step: Step) -> list[str]:
        """What the step gives besides y."""
        names = RESULTS.get(step.call.kind, ())
        if step.call.kind == "some_gradients":
            return [n for n in names if n in str(step.option("wanted")).split() and self.has(n)]
        return [n for n in names if self.config.affine or n not in ("dgamma", "dbeta", "by_gamma")]
