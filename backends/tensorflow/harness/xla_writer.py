"""Scripts in TensorFlow whose step is one function compiled by XLA."""

from __future__ import annotations

import dataclasses

from bnspec.backends.harness.scripts.statements import Lines, Statement, block
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

    def build(self) -> Lines:
        """Parameters and running statistics; the functions are written where they are first called."""
        self.compiled: set[Statement] = getattr(self, "compiled", set())
        return super().build()

    def perform(self, step: Step, y: str) -> Lines:
        """The function of the step, and its call."""
        if step.call.between:
            return super().perform(step, y)
        inner = dataclasses.replace(step, inputs=step.call.inputs)
        leaves, state = [] if self.only_moves() else list(self.leaves()), ["state"] if self.reads_state() else []
        given_y, own_y = ([], []) if self.only_moves() else ([y], ["y"])
        results = [*self.results(step), *(state if step.call.mode == "training" else [])]
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
        if self.compact and step.call.kind == "gradients" and not self.wants_gradient():
            return []
        names = RESULTS.get(step.call.kind, ())
        if step.call.kind == "some_gradients":
            return [n for n in names if n in str(step.option("wanted")).split() and self.has(n)]
        return [n for n in names if self.config.affine or n not in ("dgamma", "dbeta", "by_gamma")]
