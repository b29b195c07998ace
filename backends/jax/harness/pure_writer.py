"""What scripts of layers that are pure functions of their variables in JAX have in common: the further derivatives, masks."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.model.case import Step


class PureWriter(JaxWriter):
    """A layer that is applied to variables: parameters by one name, running statistics by another.

    Attributes:
        parameters, states: these names. by_gamma: what cuts gamma's gradient out of the parameters'.
    """

    parameters, states, by_gamma = "params", "stats", '["scale"]'

    @abc.abstractmethod
    def applied(self, training: bool, mask: str = "") -> str:
        """The expression of (y, what training leaves), or of y in inference where nothing is left, of x and w."""

    @abc.abstractmethod
    def after(self, aux: str) -> str:
        """The running statistics in what training leaves."""

    @abc.abstractmethod
    def weights(self, gamma: str, beta: str) -> str:
        """Parameters with these values."""

    def cotangent(self) -> str:
        """dy, in the dtype of y."""
        return "dy"

    def gives_pair(self, training: bool) -> bool:
        """Whether ``applied`` gives a pair."""
        return True

    def forward(self, step: Step, mask: str = "") -> tuple[list[str], str]:
        """The line that defines the pure function "forward", and the expression of y by it."""
        training = step.call.mode == "training"
        y = "forward(x, w)[0]" if self.gives_pair(training) else "forward(x, w)"
        return [f"forward = lambda x, w: {self.applied(training, mask)}"], y

    def moved(self, step: Step, x: str) -> list[str]:
        """The line that moves the statistics, where they are read afterwards."""
        read = self.wanted.startswith(("running_", "state")) or len(self.given_case.steps) > 1
        if not (read and step.call.mode == "training"):
            return []
        return [f"{self.states} = {self.after(f'forward({x}, {self.parameters})[1]')}"]

    def second_order(self, step: Step, y: str) -> list[str]:
        """The vector-Jacobian product with v of the one with dy."""
        define, of = self.forward(step)
        x, *others = (self.given(n) for n in step.inputs)
        given = ", ".join([x, *others, self.parameters])
        return [
            *define,
            f"first = lambda x, dy, w: jax.vjp(lambda x: {of}, x)[1]({self.cotangent()})[0]",
            f"by_x, by_dy, dw = jax.jit(lambda x, dy, v, w: jax.vjp(first, x, dy, w)[1](v))({given})",
            *self.moved(step, x),
        ]

    def tangent(self, step: Step, y: str) -> list[str]:
        """The Jacobian-vector product with v."""
        define, of = self.forward(step)
        x, v = (self.given(n) for n in step.inputs)
        product = f"jax.jvp(lambda x: {of}, (x,), (v,))"
        return [
            *define,
            f"{y}, along = jax.jit(lambda x, v, w: {product})({x}, {v}, {self.parameters})",
            *self.moved(step, x),
        ]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> list[str]:
        """The vector-Jacobian product by the wanted arguments only."""
        define, of = self.forward(step)
        x, dy = (self.given(n) for n in step.inputs)
        leaves = ", ".join(leaf for n, leaf in (("dx", "x"), ("dgamma", "gamma"), ("dbeta", "beta")) if n in wanted)
        of = of.replace("(x, w)", f"(x, {self.weights('gamma', 'beta')})")
        both = f"(lambda y, back: (y, back({self.cotangent()})))(*jax.vjp(lambda {leaves}: {of}, {leaves}))"
        parameters = [self.variable(n) for n in ("gamma", "beta")] if self.config.affine else []
        names = ", ".join(["x", "dy", *(["gamma", "beta"] if parameters else [])])
        return [
            *define,
            f"{y}, ({', '.join(wanted)},) = jax.jit(lambda {names}: {both})({', '.join([x, dy, *parameters])})",
            *self.moved(step, x),
        ]

    def masked(self, step: Step, y: str) -> list[str]:
        """The layer applied with a mask, or its vector-Jacobian product."""
        x, *dy, mask = (self.given(n) for n in step.inputs)
        define, _ = self.forward(step, mask)
        moved = f"{self.states} = {self.after('aux')}"
        if not dy:
            return [*define, f"{y}, aux = jax.jit(forward)({x}, {self.parameters})", moved]
        both = f"(lambda y, back, aux: (y, back({self.cotangent()}), aux))(*jax.vjp(forward, x, w, has_aux=True))"
        lines = [
            *define,
            f"{y}, (dx, dw), aux = jax.jit(lambda x, dy, w: {both})({x}, {dy[0]}, {self.parameters})",
            moved,
        ]
        if self.config.affine:
            other = self.by_gamma.replace("scale", "bias").replace("0", "1")
            lines.append(f"dgamma, dbeta = dw{self.by_gamma}, dw{other}")
        return lines
