"""Scripts in TensorFlow whose step is one function, a graph or compiled by XLA."""

from __future__ import annotations

import abc
import dataclasses

from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.tensorflow.harness.writer import FusedWriter, MomentsWriter, TensorflowWriter
from bnspec.model.call import Kind
from bnspec.model.case import Step

#: What a pass gives besides y, by the kind of the call.
RESULTS: dict[Kind, tuple[str, ...]] = {
    "third_order": ("third",),
    "tangent_gradient": ("by_x",),
    "some_gradients": ("dx", "dgamma", "dbeta"),
    "masked_gradients": ("dx", "dgamma", "dbeta"),
    "gradients": ("dx", "dgamma", "dbeta"),
    "second_order": ("by_x", "by_dy", "by_gamma"),
    "tangent": ("along",),
}


class FunctionWriter(TensorflowWriter):
    """Scripts whose every step is a ``tf.function``. Subclasses derive it from a writer of the steps.

    Attributes:
        options: of ``tf.function``, after the function.
    """

    options = ""

    def build(self) -> Lines:
        """Parameters and running statistics; the functions are written where they are first called."""
        self.compiled: set[Statement] = getattr(self, "compiled", set())
        return [*self.parameters_in_use(), *self.restart()]

    def parameters_in_use(self) -> Lines:
        """gamma and beta, where a line needs them."""
        return [] if self.only_moves() else self.parameters()

    def perform(self, step: Step, y: str) -> Lines:
        """The function of the step, and its call."""
        if step.call.between:
            return super().perform(step, y)
        inner = dataclasses.replace(step, inputs=step.call.inputs)
        leaves, state = [] if self.only_moves() else list(self.leaves()), self.state_names()
        given_y, own_y = ([], []) if self.only_moves() else ([y], ["y"])
        results = [*self.results(step), *(state if step.call.mode == "training" else [])]
        header = f"def {step.call}({', '.join([*inner.inputs, *leaves, *state])}):"
        function = block(header, [*super().perform(inner, "y"), f"return {', '.join([*own_y, *results])}"])
        lines = [] if function in self.compiled else [function]
        self.compiled.add(function)
        lists = [*(["*parameters"] if leaves else []), *state]
        given = ", ".join([*(self.given(n) for n in step.inputs), *lists])
        compiled = f"tf.function({step.call}{self.options})"
        return [*lines, f"{', '.join([*given_y, *results])} = {compiled}({given})"]

    def only_moves(self) -> bool:
        """Whether the script is short and reads nothing but the statistics that training passes leave."""
        return False

    @abc.abstractmethod
    def state_names(self) -> list[str]:
        """The variables that hold the running statistics, where a line needs them."""

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


class GraphWriter(FunctionWriter, MomentsWriter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a tf.function."""

    def only_moves(self) -> bool:
        """Whether the script is short and reads nothing but the statistics that training passes leave."""
        return MomentsWriter.only_moves(self)

    def state_names(self) -> list[str]:
        """One list."""
        return ["state"] if self.reads_state() else []


class XlaWriter(GraphWriter):
    """The same, compiled by XLA."""

    options = ", jit_compile=True"


class FusedXlaWriter(FunctionWriter, FusedWriter):
    """``tf.compat.v1.nn.fused_batch_norm``, compiled by XLA."""

    options = ", jit_compile=True"

    def state_names(self) -> list[str]:
        """Both."""
        return ["mean", "var"]
