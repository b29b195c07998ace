"""Scripts with ``jax.nn.standardize``: gamma, beta and the moving average are the user's own lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.model.case import Step


class StandardizeWriter(JaxWriter):
    """``jax.nn.standardize``, jitted."""

    #: What the function is given in training, beyond x, the axes, a mask and epsilon.
    options = ""

    def build(self) -> Lines:
        """The function of the mode in use; a scaler has none. Raises NoScript: two modes."""
        modes, only_moves = self.modes(), self.compact and self.wanted.startswith("running_")
        if self.case.subject == "input_norm":
            return []
        if len(modes) > 1:
            raise NoScript("only training or inference alone is written with jax.nn.standardize")
        self.training = modes == {"training"}
        self.moves = self.training and self.wanted.startswith(("running_", "state"))
        is_masked = any(s.call.has_mask for s in self.case.steps)
        self.where = ", where=mask" if is_masked else ""
        if self.moves and only_moves:  # y is not computed
            return self.restart()
        given = (
            f"{self.config.reduce_axes}{self.options}{self.where}"
            if self.training
            else f"mean={self.spread('mean')}, variance={self.spread('var')}"
        )
        y = f"jax.nn.standardize(x, {given}, epsilon={self.config.epsilon!r})"
        if self.training:
            y = self.centred(y)
        if self.config.affine:
            y = f"{self.spread('gamma')} * {y} + {self.spread('beta')}"
        parameters = [f"{n} = {self.array(n)}" for n in ("gamma", "beta")] if self.config.affine else []
        forward = block(f"def forward({', '.join(self.arguments('x'))}):", [f"return {y}"])
        return [*parameters, *self.restart(), forward]

    def centred(self, y: str) -> str:
        """The expression of the normalised x, from that of the function's result."""
        return y

    def restart(self) -> Lines:
        """The running statistics, where they are read."""
        if self.case.subject == "input_norm" or (self.training and not self.moves):
            return []
        return [f"mean = {self.array('running_mean')}", f"var = {self.array('running_var')}"]

    def arguments(self, x: str) -> list[str]:
        """What the function is differentiated by: x, gamma and beta."""
        return [x, "gamma", "beta"] if self.config.affine else [x]

    def spread(self, name: str) -> str:
        """A (C,) array shaped to broadcast against x."""
        shape = self.config.channel_shape
        return name if shape[:-1] == (1,) * (len(shape) - 1) else f"{name}.reshape{shape}"

    def call(self, step: Step, y: str) -> Lines:
        """One jitted call, or its vector-Jacobian product, or one of a scaler's."""
        if self.case.subject == "input_norm":
            return self.scaled(step, y)
        x, *dy = (self.given(n) for n in step.inputs)
        if self.moves and self.compact and self.wanted.startswith("running_"):
            return self.moved(x)
        given = ", ".join(self.arguments(x))
        if not dy:
            return [f"{y} = jax.jit(forward)({given})", *self.moved(x)]
        names = ", ".join(["dx", "dgamma", "dbeta"] if self.config.affine else ["dx,"])
        if self.compact and self.wanted == "y":
            return [f"{y} = jax.jit(forward)({given})"]
        if self.compact:
            gradients = "jax.jit(lambda dy, *arguments: jax.vjp(forward, *arguments)[1](dy))"
            return [f"gradients = {gradients}", f"{names} = gradients({', '.join([*dy, given])})", *self.moved(x)]
        body = ["y, back = jax.vjp(forward, *arguments)", "return y, back(dy)"]
        return [
            block("def gradients(dy, *arguments):", body),
            f"{y}, ({names}) = jax.jit(gradients)({', '.join([*dy, given])})",
            *self.moved(x),
        ]

    def scaled(self, step: Step, y: str) -> Lines:
        """The moments of all chunks together, or the function by them. Raises NoScript: there is no inverse."""
        axis, given = self.config.channel_axis, [self.given(n) for n in step.inputs]
        if step.call.kind == "fit":
            rows = ", ".join(f"jax.numpy.moveaxis({g}, {axis}, -1).reshape(-1, {self.config.channels})" for g in given)
            moments = "jax.jit(lambda data: (jax.numpy.mean(data, 0), jax.numpy.var(data, 0)))"
            return [f"data = jax.numpy.concatenate([{rows}])", f"mean, var = {moments}(data)"]
        if step.call.kind == "inverse":
            raise NoScript("jax.nn has no inverse of standardize")
        by = f"jax.nn.standardize(x, mean={self.spread('mean')}, variance={self.spread('var')})"
        return [f"{y} = jax.jit(lambda x, mean, var: {by})({given[0]}, mean, var)"]

    def masked(self, step: Step, y: str) -> Lines:
        """The same, as the function reads the mask."""
        return self.call(dataclasses.replace(step, inputs=step.inputs[:-1]), y)

    def second_order(self, step: Step, y: str) -> Lines:
        """The vector-Jacobian product with v of the one with dy."""
        x, dy, v = (self.given(n) for n in step.inputs)
        leaves = ["x", "dy", *self.arguments("x")[1:2]]
        first = f"jax.vjp(lambda x: forward({', '.join(self.arguments('x'))}), x)[1](dy)[0]"
        given, names = ", ".join(leaves), ", ".join(("by_x", "by_dy", "by_gamma")[: len(leaves)])
        values = ", ".join([v, x, dy, *leaves[2:]])
        return [
            block(f"def first({given}):", [f"return {first}"]),
            f"{names} = jax.jit(lambda v, *arguments: jax.vjp(first, *arguments)[1](v))({values})",
            *self.moved(x),
        ]

    def tangent(self, step: Step, y: str) -> Lines:
        """The Jacobian-vector product with v."""
        x, v = (self.given(n) for n in step.inputs)
        of = f"forward({', '.join(self.arguments('x'))})"
        product = f"jax.jvp(lambda x: {of}, (x,), (v,))"
        return [f"{y}, along = jax.jit(lambda x, v: {product})({x}, {v})", *self.moved(x)]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """The vector-Jacobian product by the wanted arguments only."""
        x, dy = (self.given(n) for n in step.inputs)
        leaves = [leaf for n, leaf in zip(("dx", "dgamma", "dbeta"), self.arguments("x")) if n in wanted]
        names, values = ", ".join(leaves), ", ".join([dy, *(x if leaf == "x" else leaf for leaf in leaves)])
        of = f"forward({', '.join(self.arguments('x' if 'x' in leaves else x))})"
        vjp = f"y, back = jax.vjp(lambda {names}: {of}, *arguments)"
        return [
            block("def gradients(dy, *arguments):", [vjp, "return y, back(dy)"]),
            f"{y}, ({', '.join(wanted)},) = jax.jit(gradients)({values})",
            *self.moved(x),
        ]

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which never change, and another decay."""
        return self.kept_aside(step, ("mean", "var") if self.moves or not self.training else ())

    def moved(self, x: str) -> Lines:
        """The moving average, where it is read: the user's own line."""
        if not self.moves:
            return []
        old, new, axes = self.config.decay, 1.0 - self.config.decay, self.config.reduce_axes
        pairs = (f"{old!r} * {n} + {new!r} * jax.numpy.{n}({x}, {axes}{self.where})" for n in ("mean", "var"))
        return [f"{name} = {value}" for name, value in zip(("mean", "var"), pairs)]

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "mean", "running_var": "var"}.get(name, name)


class StableWriter(StandardizeWriter):
    """The algorithm "stable"."""

    options = ', algorithm="stable"'


class ScaledWriter(StandardizeWriter):
    """A given mean of 0; what comes out is centred."""

    options = ", mean=0.0"

    def centred(self, y: str) -> str:
        """Less its mean."""
        mean = f"jax.numpy.mean(z, {self.config.reduce_axes}, keepdims=True{self.where})"
        return f"(lambda z: z - {mean})({y})"
