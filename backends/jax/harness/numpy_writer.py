"""Scripts in JAX: the layer written with ``jax.numpy``, and ``flax.nnx.BatchNorm``; jitted, in 64-bit mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step
from bnspec.model.conventions import HALVES


class JaxWriter(Writer):
    """What the two have in common: arrays and settings."""

    packages: tuple[str, ...] = ("jax",)
    imports: tuple[str, ...] = ("import jax", "import jax.numpy as jnp")
    environment = "JAX_PLATFORMS=cpu"

    def preamble(self) -> list[str]:
        """64-bit mode, in which everything was run."""
        return ['jax.config.update("jax_enable_x64", True)']

    def tensor(self, value: Literal) -> str:
        """``jnp.array([...], "float32")``; a view by NumPy, as it reaches JAX."""
        if not (value.permuted or value.flipped or value.strided):
            match value.kind:
                case "list":
                    return f'jnp.array({value.text}, "{value.dtype}")'
                case "full":
                    return f'jnp.full({value.shape}, {value.text}, "{value.dtype}")'
                case "empty":
                    return f'jnp.zeros({value.shape}, "{value.dtype}")'
        dtype = "jnp.bfloat16" if value.dtype == "bfloat16" else f'"{value.dtype}"'
        return f"jnp.asarray({numpy_expression(value, dtype)})"


class JaxNumpyWriter(JaxWriter):
    """The layer as one writes it in JAX, with only the parts that the case needs."""

    def build(self) -> list[str]:
        """The arrays and the functions of the modes in use. Raises NoScript: input normalization is not JAX's."""
        if self.case.subject == "input_norm":
            raise NoScript("jax.numpy has no input normalization: fitting and merging chunks is the adapter's own code")
        if len(self.modes()) > 1:
            raise NoScript("training and inference together take more than 15 lines in jax.numpy")
        calls = {s.call for s in self.case.steps if not s.call.between}
        self.training = self.modes() == {"training"}
        self.where = ", where=mask" if any(c.has_mask for c in calls) else ""
        self.moves = self.training and (self.wanted.startswith("running_") or self.wanted == "state")
        if self.moves and any(c.kind in ("second_order", "tangent", "some_gradients") for c in calls):
            raise NoScript("derivatives in other forms are written here without the moving average")
        lines = []
        if self.config.affine:
            lines.append(f"gamma, beta = {self.array('gamma')}, {self.array('beta')}")
        lines += self.restart()
        lines += self.define(self.forward())
        if any(c.kind in ("gradients", "masked_gradients") for c in calls):
            lines += self.define(self.backward(self.leaves()))
        return lines

    def define(self, lines: list[str]) -> list[str]:
        """The lines of a function; nothing where the same one is defined already."""
        defined: set[str] = self.__dict__.setdefault("defined", set())
        new = [] if "\n".join(lines) in defined else lines
        defined.add("\n".join(lines))
        return new

    def leaves(self) -> list[str]:
        """What the function is differentiated by."""
        return ["x", "gamma", "beta"] if self.config.affine else ["x"]

    def restart(self) -> list[str]:
        """The running statistics, where they are read."""
        if self.training and not self.moves:
            return []
        return [f"running_mean, running_var = {self.array('running_mean')}, {self.array('running_var')}"]

    def arguments(self) -> list[str]:
        """What the functions take after x."""
        names = ["gamma", "beta"] if self.config.affine else []
        return names + (["running_mean", "running_var"] if self.moves or not self.training else [])

    def shaped(self, name: str) -> str:
        """A (C,) array, in the working precision, shaped to broadcast against x."""
        wide = '.astype("float32")' if self.config.parameter_dtype in HALVES else ""
        shape = self.config.channel_shape
        return name + wide + ("" if shape[:-1] == (1,) else f".reshape{shape}")

    def forward(self) -> list[str]:
        """The function of the forward pass."""
        config, axes = self.config, self.config.reduce_axes
        half = config.dtype in HALVES
        head = f"def forward({', '.join(['x', *self.arguments(), 'epsilon', 'decay'][: None if self.moves else -1])}):"
        x, lines = ('x.astype("float32")' if half else "x"), [head]
        if self.training:
            if self.moves or half:
                lines += [f"    z = {x}"] if half else []
                z = "z" if half else "x"
                lines.append(f"    mean = jnp.mean({z}, {axes}, keepdims=True{self.where})")
                centred = f"({z} - mean)"
            else:
                lines.append(f"    z = {x} - jnp.mean({x}, {axes}, keepdims=True{self.where})")
                centred = "z"
            var = f"jnp.mean(jnp.square({centred}), {axes}, keepdims=True{self.where})"
            if self.moves:
                lines.append(f"    var = {var}")
                var = "var"
        else:
            centred, var = f"({x} - {self.shaped('running_mean')})", self.shaped("running_var")
        y = f"{centred} / jnp.sqrt({var} + epsilon)"
        if config.affine:
            y = f"{self.shaped('gamma')} * ({y}) + {self.shaped('beta')}"
        if half:
            y = f"({y}).astype(x.dtype)"
        if not self.moves:
            return [*lines, f"    return {y}"]
        back = ".astype(running_mean.dtype)" if config.parameter_dtype in HALVES else ""
        moved = [
            f"(decay * {old} + (1.0 - decay) * {new}.reshape(-1)){back}"
            for old, new in (("running_mean", "mean"), ("running_var", "var"))
        ]
        return [*lines, f"    return {y}, ({', '.join(moved)})"]

    def given_all(self, first: Sequence[str]) -> str:
        """These, and all that the functions take after x."""
        numbers = ["epsilon", "decay"] if self.moves else ["epsilon"]
        return ", ".join([*first, *self.arguments(), *numbers])

    def backward(self, leaves: Sequence[str]) -> list[str]:
        """The function of both passes: y and the gradients by ``leaves``."""
        inner, whole = ", ".join(leaves), self.given_all(["x"])
        back = f"jax.vjp(lambda {inner}: forward({whole}), {inner}"
        if self.moves:
            both = f"(lambda y, back, after: ((y, *back(dy)), after))(*{back}, has_aux=True))"
        else:
            both = f"(lambda y, back: (y, *back(dy)))(*{back}))"
        return [f"gradients = lambda {self.given_all(['x', 'dy'])}: {both}"]

    def values(self, step: Step) -> str:
        """What a jitted function is given: the step's inputs, and all that comes after x."""
        numbers = [repr(self.config.epsilon), repr(self.config.decay)][: 2 if self.moves else 1]
        return ", ".join([*(self.given(n) for n in step.inputs), *self.arguments(), *numbers])

    def call(self, step: Step, y: str) -> list[str]:
        """One jitted call."""
        state = ", (running_mean, running_var)" if self.moves else ""
        if not step.call.has_gradients:
            return [f"{y}{state} = jax.jit(forward)({self.values(step)})"]
        names = ", ".join([y, "dx", "dgamma", "dbeta"] if self.config.affine else [y, "dx"])
        return [f"{f'({names}){state}' if state else names} = jax.jit(gradients)({self.values(step)})"]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> list[str]:
        """One jitted call, differentiated by the wanted arguments only."""
        leaves = [leaf for n, leaf in zip(("dx", "dgamma", "dbeta"), self.leaves()) if n in wanted]
        names = ", ".join([y, *(n for n in ("dx", "dgamma", "dbeta") if n in wanted)])
        return [*self.define(self.backward(leaves)), f"{names} = jax.jit(gradients)({self.values(step)})"]

    def second_order(self, step: Step, y: str) -> list[str]:
        """The vector-Jacobian product with v of the one with dy."""
        leaves = ["x", "dy", *self.leaves()[1:2]]
        inner, names = ", ".join(leaves), ", ".join(("by_x", "by_dy", "by_gamma")[: len(leaves)])
        product = f"jax.vjp(lambda {inner}: jax.vjp(lambda x: forward({self.given_all(['x'])}), x)[1](dy)[0], {inner})"
        line = f"second = lambda {self.given_all(['x', 'dy', 'v'])}: {product}[1](v)"
        return [*self.define([line]), f"{names} = jax.jit(second)({self.values(step)})"]

    def tangent(self, step: Step, y: str) -> list[str]:
        """The Jacobian-vector product with v."""
        product = f"jax.jvp(lambda x: forward({self.given_all(['x'])}), (x,), (v,))"
        line = f"tangent = lambda {self.given_all(['x', 'v'])}: {product}"
        return [*self.define([line]), f"{y}, along = jax.jit(tangent)({self.values(step)})"]

    def masked(self, step: Step, y: str) -> list[str]:
        """The same, as the function reads the mask."""
        return self.call(dataclasses.replace(step, inputs=step.inputs[:-1]), y)

    def between(self, step: Step) -> list[str]:
        """Copies of arrays, which never change, and another decay."""
        return self.kept_aside(step, ("running_mean", "running_var") if self.moves or not self.training else ())

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name
