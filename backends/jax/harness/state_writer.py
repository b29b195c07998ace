"""What scripts of JAX modules have in common whose state is one tree, which each call is given and gives back."""

from __future__ import annotations

import abc

from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.jax.harness.pure_writer import PureWriter
from bnspec.model.case import Step


class StateWriter(PureWriter):
    """A module applied to ``params`` and ``state``. Subclasses define ``applied``, which gives (y, the new state)."""

    states = "state"

    @abc.abstractmethod
    def called(self, step: Step, y: str) -> Lines:
        """The line of a call without gradients."""

    @abc.abstractmethod
    def averages(self) -> str:
        """The expression of the new averages, as an iterable, in the state called new."""

    def call(self, step: Step, y: str) -> Lines:
        """The module applied, or its vector-Jacobian product."""
        x, *dy = (self.given(n) for n in step.inputs)
        if not dy or (self.compact and not self.wants_gradient()):
            return self.called(step, y)
        define, _ = self.forward(step)
        self.packed = True
        if self.compact:
            gradients = "jax.jit(lambda x, dy, w: jax.vjp(forward, x, w, has_aux=True)[1](dy))"
            return [*define, f"dx, dw = {gradients}({x}, {dy[0]}, params)"]
        vjp = "y, back, new = jax.vjp(forward, x, w, has_aux=True)"
        function = block("def gradients(x, dy, w):", [vjp, "return y, back(dy), new"])
        call = f"{y}, (dx, dw), state = {self.jitted('gradients')}({x}, {dy[0]}, params)"
        return [*define, *self.define(function), call]

    def after(self, aux: str) -> str:
        """The new state."""
        return aux

    def state_gradients(self, step: Step, y: str) -> Lines:
        """The gradients of <dy, y> plus the sum of the new averages."""
        x, dy = (self.given(n) for n in step.inputs)
        self.packed = True
        lines = [
            f"y, new = {self.applied(training=True)}",
            f"return (dy * y).sum() + sum(a.sum() for a in {self.averages()}), (y, new)",
        ]
        call = f"(dx, dw), ({y}, state) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))({x}, params, {dy})"
        return [*self.define(block("def loss(x, w, dy):", lines)), call]

    def between(self, step: Step) -> Lines:
        """Copies of the state. Raises NoScript: what takes a module that owns its variables."""
        return self.kept_aside(step, ("layer", "state"))
