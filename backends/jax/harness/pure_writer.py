"""What scripts of layers that are pure functions of their variables in JAX have in common: other derivatives, masks."""

from __future__ import annotations

import abc
from collections.abc import Sequence

from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.model.case import Step


class PureWriter(JaxWriter):
    """A layer that is applied to variables: parameters by one name, running statistics by another.

    Attributes:
        parameters, states: these names. by_gamma: what cuts gamma's gradient out of the parameters'.
        packed: whether the last call gave the gradients of all parameters as one.
    """

    parameters, states, by_gamma = "params", "stats", '["scale"]'
    packed = False

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

    def jitted(self, function: str) -> str:
        """The function under jax.jit; anew for every call, since what was traced of one function holds the state of its time."""
        traced: set[str] = self.__dict__.setdefault("traced", set())
        if function in traced:
            return f"jax.jit(lambda *given: {function}(*given))"
        traced.add(function)
        return f"jax.jit({function})"

    def reads_moved_state(self) -> bool:
        """Whether the statistics that a call leaves are read afterwards."""
        return self.wanted.startswith(("running_", "state")) or len(self.given_case.steps) > 1

    def forward(self, step: Step, mask: str = "") -> tuple[Lines, str]:
        """The pure function "forward", and the expression of y by it."""
        training = step.call.mode == "training"
        y = "forward(x, w)[0]" if self.gives_pair(training) else "forward(x, w)"
        return self.define(block("def forward(x, w):", [f"return {self.applied(training, mask)}"])), y

    def moved(self, step: Step, x: str) -> Lines:
        """The line that moves the statistics, where they are read afterwards."""
        if not (self.reads_moved_state() and step.call.mode == "training"):
            return []
        return [f"{self.states} = {self.after(f'forward({x}, {self.parameters})[1]')}"]

    def second_order(self, step: Step, y: str) -> Lines:
        """The vector-Jacobian product with v of the one with dy."""
        define, of = self.forward(step)
        x, *others = (self.given(n) for n in step.inputs)
        given = ", ".join([x, *others, self.parameters])
        return [
            *define,
            block("def first(x, dy, w):", [f"return jax.vjp(lambda x: {of}, x)[1]({self.cotangent()})[0]"]),
            f"by_x, by_dy, dw = jax.jit(lambda x, dy, v, w: jax.vjp(first, x, dy, w)[1](v))({given})",
            *self.moved(step, x),
        ]

    def state_gradients(self, step: Step, y: str) -> Lines:
        """The vector-Jacobian product of y and of the new statistics, whose cotangents are 1."""
        define, _ = self.forward(step)
        x, dy = (self.given(n) for n in step.inputs)
        self.packed = True
        ones = "jax.tree_util.tree_map(jax.numpy.ones_like, new)"
        if self.compact and self.wants_gradient():
            of = f"({self.cotangent()}, {ones.replace('new', 'forward(x, w)[1]')})"
            back = f"jax.jit(lambda x, dy, w: jax.vjp(forward, x, w)[1]({of}))"
            return [*define, f"dx, dw = {back}({x}, {dy}, {self.parameters})"]
        lines = ["(y, new), back = jax.vjp(forward, x, w)", f"return y, back(({self.cotangent()}, {ones})), new"]
        moved = [f"{self.states} = {self.after('new')}"] if self.reads_moved_state() else []
        call = f"{y}, (dx, dw), new = {self.jitted('gradients')}({x}, {dy}, {self.parameters})"
        return [*define, *self.define(block("def gradients(x, dy, w):", lines)), call, *moved]

    def third_order(self, step: Step, y: str) -> Lines:
        """jax.grad three times."""
        define, of = self.forward(step)
        x, dy, v = (self.given(n) for n in step.inputs)
        product = "jax.grad(lambda *given: (given[2] * {}(*given)).sum())"
        return [
            *define,
            f"first = jax.grad(lambda x, dy, v, w: ({self.cotangent()} * {of}).sum())",
            f"second = {product.format('first')}",
            f"third = jax.jit({product.format('second')})({x}, {dy}, {v}, {self.parameters})",
            *self.moved(step, x),
        ]

    def tangent_gradient(self, step: Step, y: str) -> Lines:
        """jax.grad of the Jacobian-vector product with v, weighted with dy."""
        define, of = self.forward(step)
        x, dy, v = (self.given(n) for n in step.inputs)
        along = f"jax.jvp(lambda x: {of}, (x,), (v,))[1]"
        weighted = f"lambda x, dy, v, w: ({self.cotangent()} * {along}).sum()"
        given = f"{x}, {dy}, {v}, {self.parameters}"
        return [*define, f"by_x = jax.jit(jax.grad({weighted}))({given})", *self.moved(step, x)]

    def tangent(self, step: Step, y: str) -> Lines:
        """The Jacobian-vector product with v."""
        define, of = self.forward(step)
        x, v = (self.given(n) for n in step.inputs)
        product = f"jax.jvp(lambda x: {of}, (x,), (v,))"
        return [
            *define,
            f"{y}, along = jax.jit(lambda x, v, w: {product})({x}, {v}, {self.parameters})",
            *self.moved(step, x),
        ]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """The vector-Jacobian product by the wanted arguments only."""
        define, of = self.forward(step)
        x, dy = (self.given(n) for n in step.inputs)
        leaves = ", ".join(leaf for n, leaf in (("dx", "x"), ("dgamma", "gamma"), ("dbeta", "beta")) if n in wanted)
        of = of.replace("(x, w)", f"(x, {self.weights('gamma', 'beta')})")
        vjp = f"y, back = jax.vjp(lambda {leaves}: {of}, {leaves})"
        parameters = [self.variable(n) for n in ("gamma", "beta")] if self.config.affine else []
        names = ", ".join(["x", "dy", *(["gamma", "beta"] if parameters else [])])
        return [
            *define,
            block(f"def gradients({names}):", [vjp, f"return y, back({self.cotangent()})"]),
            f"{y}, ({', '.join(wanted)},) = jax.jit(gradients)({', '.join([x, dy, *parameters])})",
            *self.moved(step, x),
        ]

    def masked(self, step: Step, y: str) -> Lines:
        """The layer applied with a mask, or its vector-Jacobian product."""
        x, *dy, mask = (self.given(n) for n in step.inputs)
        define, _ = self.forward(step, mask)
        moved = [f"{self.states} = {self.after('aux')}"] if self.reads_moved_state() else []
        if not dy:
            return [*define, f"{y}, aux = {self.jitted('forward')}({x}, {self.parameters})", *moved]
        self.packed = True
        vjp = "y, back, aux = jax.vjp(forward, x, w, has_aux=True)"
        function = block("def gradients(x, dy, w):", [vjp, f"return y, back({self.cotangent()}), aux"])
        call = f"{y}, (dx, dw), aux = {self.jitted('gradients')}({x}, {dy[0]}, {self.parameters})"
        return [*define, *self.define(function), call, *moved]

    def gradient(self, name: str) -> str:
        """A gradient by its name, or cut out of those of all parameters."""
        other = self.by_gamma.replace("scale", "bias").replace("0", "1")
        packed = {"dgamma": f"dw{self.by_gamma}", "dbeta": f"dw{other}"} if self.packed else {}
        return {"by_gamma": f"dw{self.by_gamma}", **packed}.get(name, name)
