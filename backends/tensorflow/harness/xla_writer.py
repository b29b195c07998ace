"""Scripts in TensorFlow whose step is one function compiled by XLA."""

from __future__ import annotations

import dataclasses

from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.tensorflow.harness.writer import MomentsWriter
from bnspec.model.case import BETWEEN, CALLS, Step

#: What a pass gives besides y, by the ending of its name.
RESULTS = {
    "_some_gradients": ("dx", "dgamma", "dbeta"),
    "_gradients": ("dx", "dgamma", "dbeta"),
    "_second_order": ("by_x", "by_dy", "by_gamma"),
    "_tangent": ("along",),
}


class XlaWriter(MomentsWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a tf.function with jit_compile=True."""

    def build(self) -> Lines:
        """Parameters and running statistics; the functions are written where they are first called."""
        self.compiled: set[Statement] = getattr(self, "compiled", set())
        return super().build()

    def perform(self, step: Step, y: str) -> Lines:
        """The function of the step, and its call."""
        if step.call in BETWEEN:
            return super().perform(step, y)
        inner = dataclasses.replace(step, inputs=CALLS[step.call])
        leaves, state = [] if self.only_moves() else list(self.leaves()), ["state"] if self.reads_state() else []
        given_y, own_y = ([], []) if self.only_moves() else ([y], ["y"])
        results = [*self.results(step), *(state if step.call.startswith("training") else [])]
        header = f"def {step.call}({', '.join([*inner.inputs, *leaves, *state])}):"
        function = block(header, [*super().perform(inner, "y"), f"return {', '.join([*own_y, *results])}"])
        lines = [] if function in self.compiled else [function]
        self.compiled.add(function)
        lists = [*(["*parameters"] if leaves else []), *state]
        given = ", ".join([*(self.given(n) for n in step.inputs), *lists])
        compiled = f"tf.function({step.call}, jit_compile=True)"
        return [*lines, f"{', '.join([*given_y, *results])} = {compiled}({given})"]

    def parameters(self) -> Lines:
        """gamma and beta, in one list."""
        return [f"parameters = [{self.array('gamma')}, {self.array('beta')}]"] if self.config.affine else []

    def variable(self, name: str) -> str:
        """The members of the lists."""
        return {"gamma": "parameters[0]", "beta": "parameters[1]"}.get(name, super().variable(name))

    def results(self, step: Step) -> list[str]:
        """What the step gives besides y."""
        if self.compact and step.call in ("training_gradients", "inference_gradients") and not self.wants_gradient():
            return []
        names = next((names for ending, names in RESULTS.items() if step.call.endswith(ending)), ())
        if step.call.endswith("_some_gradients"):
            return [n for n in names if n in str(step.option("wanted")).split() and self.has(n)]
        return [n for n in names if self.config.affine or n not in ("dgamma", "dbeta", "by_gamma")]
