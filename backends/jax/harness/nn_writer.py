"""Scripts with ``jax.nn.standardize``: gamma, beta and the moving average are the user's own lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.model.case import Step


class StandardizeWriter(JaxWriter):
    """``jax.nn.standardize``, jitted."""

    def build(self) -> list[str]:
        """The function of the mode in use; a scaler has none. Raises NoScript: two modes."""
        modes = self.modes()
        if self.case.subject == "input_norm":
            return []
        if len(modes) > 1:
            raise NoScript("only training or inference alone is written with jax.nn.standardize")
        self.training = modes == {"training"}
        self.moves = self.training and self.wanted.startswith(("running_", "state"))
        is_masked = any(s.call.has_mask for s in self.case.steps)
        self.where = ", where=mask" if is_masked else ""
        given = (
            f"{self.config.reduce_axes}{self.where}"
            if self.training
            else f"mean={self.spread('mean')}, variance={self.spread('var')}"
        )
        y = f"jax.nn.standardize(x, {given}, epsilon={self.config.epsilon!r})"
        if self.config.affine:
            y = f"{self.spread('gamma')} * {y} + {self.spread('beta')}"
        lines = [f"gamma, beta = {self.array('gamma')}, {self.array('beta')}"] if self.config.affine else []
        return [*lines, *self.restart(), f"forward = lambda {', '.join(self.arguments('x'))}: {y}"]

    def restart(self) -> list[str]:
        """The running statistics, where they are read."""
        if self.case.subject == "input_norm" or (self.training and not self.moves):
            return []
        return [f"mean, var = {self.array('running_mean')}, {self.array('running_var')}"]

    def arguments(self, x: str) -> list[str]:
        """What the function is differentiated by: x, gamma and beta."""
        return [x, "gamma", "beta"] if self.config.affine else [x]

    def spread(self, name: str) -> str:
        """A (C,) array shaped to broadcast against x."""
        shape = self.config.channel_shape
        return name if shape[:-1] == (1,) * (len(shape) - 1) else f"{name}.reshape{shape}"

    def call(self, step: Step, y: str) -> list[str]:
        """One jitted call, or its vector-Jacobian product, or one of a scaler's."""
        if self.case.subject == "input_norm":
            return self.scaled(step, y)
        x, *dy = (self.given(n) for n in step.inputs)
        given = ", ".join(self.arguments(x))
        if not dy:
            return [f"{y} = jax.jit(forward)({given})", *self.moved(x)]
        names = ", ".join(["dx", "dgamma", "dbeta"] if self.config.affine else ["dx,"])
        return [
            "both = jax.jit(lambda dy, *a: (lambda y, back: (y, back(dy)))(*jax.vjp(forward, *a)))",
            f"{y}, ({names}) = both({', '.join([*dy, given])})",
            *self.moved(x),
        ]

    def scaled(self, step: Step, y: str) -> list[str]:
        """The moments of all chunks together, or the function by them. Raises NoScript: there is no inverse."""
        axis, given = self.config.channel_axis, [self.given(n) for n in step.inputs]
        if step.call.kind == "fit":
            rows = ", ".join(f"jnp.moveaxis({g}, {axis}, -1).reshape(-1, {self.config.channels})" for g in given)
            return [
                f"mean, var = jax.jit(lambda data: (jnp.mean(data, 0), jnp.var(data, 0)))(jnp.concatenate([{rows}]))"
            ]
        if step.call.kind == "inverse":
            raise NoScript("jax.nn has no inverse of standardize")
        by = f"jax.nn.standardize(x, mean={self.spread('mean')}, variance={self.spread('var')})"
        return [f"{y} = jax.jit(lambda x, mean, var: {by})({given[0]}, mean, var)"]

    def masked(self, step: Step, y: str) -> list[str]:
        """The same, as the function reads the mask."""
        return self.call(dataclasses.replace(step, inputs=step.inputs[:-1]), y)

    def second_order(self, step: Step, y: str) -> list[str]:
        """The vector-Jacobian product with v of the one with dy."""
        x, dy, v = (self.given(n) for n in step.inputs)
        leaves = ["x", "dy", *self.arguments("x")[1:2]]
        first = f"jax.vjp(lambda x: forward({', '.join(self.arguments('x'))}), x)[1](dy)[0]"
        given, names = ", ".join(leaves), ", ".join(("by_x", "by_dy", "by_gamma")[: len(leaves)])
        values = ", ".join([v, x, dy, *leaves[2:]])
        return [
            f"first = lambda {given}: {first}",
            f"{names} = jax.jit(lambda v, *a: jax.vjp(first, *a)[1](v))({values})",
            *self.moved(x),
        ]

    def tangent(self, step: Step, y: str) -> list[str]:
        """The Jacobian-vector product with v."""
        x, v = (self.given(n) for n in step.inputs)
        of = f"forward({', '.join(self.arguments('x'))})"
        product = f"jax.jvp(lambda x: {of}, (x,), (v,))"
        return [f"{y}, along = jax.jit(lambda x, v: {product})({x}, {v})", *self.moved(x)]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> list[str]:
        """The vector-Jacobian product by the wanted arguments only."""
        x, dy = (self.given(n) for n in step.inputs)
        leaves = [leaf for n, leaf in zip(("dx", "dgamma", "dbeta"), self.arguments("x")) if n in wanted]
        names, values = ", ".join(leaves), ", ".join([dy, *(x if leaf == "x" else leaf for leaf in leaves)])
        of = f"forward({', '.join(self.arguments('x' if 'x' in leaves else x))})"
        return [
            f"some = jax.jit(lambda dy, *a: (lambda y, back: (y, back(dy)))(*jax.vjp(lambda {names}: {of}, *a)))",
            f"{y}, ({', '.join(wanted)},) = some({values})",
            *self.moved(x),
        ]

    def between(self, step: Step) -> list[str]:
        """Copies of arrays, which never change, and another decay."""
        return self.kept_aside(step, ("mean", "var") if self.moves or not self.training else ())

    def moved(self, x: str) -> list[str]:
        """The moving average, where it is read: the user's own line."""
        if not self.moves:
            return []
        old, new, axes = self.config.decay, 1.0 - self.config.decay, self.config.reduce_axes
        pairs = (f"{old!r} * {n} + {new!r} * jnp.{n}({x}, {axes}{self.where})" for n in ("mean", "var"))
        return [f"mean, var = {', '.join(pairs)}"]

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {"running_mean": "mean", "running_var": "var"}.get(name, name)
