"""Scripts in JAX: the layer written with ``jax.numpy``, and ``flax.nnx.BatchNorm``; jitted, in 64-bit mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step
from bnspec.model.conventions import HALVES

#: The variable that makes two devices of the CPU.
TWO_DEVICES = "XLA_FLAGS=--xla_force_host_platform_device_count=2"


class JaxWriter(Writer):
    """What the two have in common: arrays and settings."""

    packages: tuple[str, ...] = ("jax",)
    imports: tuple[str, ...] = ("import jax",)
    environment = "JAX_PLATFORMS=cpu"

    def preamble(self) -> Lines:
        """64-bit mode, in which everything was run; where a script has to be short, the environment says it."""
        if self.compact:
            self.environment = f"{self.environment} JAX_ENABLE_X64=1"
            return []
        return ['jax.config.update("jax_enable_x64", True)']

    def tensor(self, value: Literal) -> str:
        """``jax.numpy.array([...], "float32")``; a view by NumPy, as it reaches JAX."""
        if not (value.permuted or value.flipped or value.strided):
            match value.kind:
                case "list":
                    return f'jax.numpy.array({value.text}, "{value.dtype}")'
                case "full":
                    return f'jax.numpy.full({value.shape}, {value.text}, "{value.dtype}")'
                case "empty":
                    return f'jax.numpy.zeros({value.shape}, "{value.dtype}")'
        dtype = "jax.numpy.bfloat16" if value.dtype == "bfloat16" else f'"{value.dtype}"'
        return f"jax.numpy.asarray({numpy_expression(value, dtype)})"

    def define(self, function: Statement) -> Lines:
        """The function; nothing where the same one is defined already."""
        defined: set[Statement] = self.__dict__.setdefault("defined", set())
        new = [] if function in defined else [function]
        defined.add(function)
        return new


class JaxNumpyWriter(JaxWriter):
    """The layer as one writes it in JAX, with only the parts that the case needs."""

    def jitted(self, function: str) -> str:
        """The function as it is called."""
        return f"jax.jit({function})"

    def build(self) -> Lines:
        """The arrays and the functions of the modes in use. Raises NoScript: input normalization is not JAX's."""
        if self.case.subject == "input_norm":
            raise NoScript("jax.numpy has no input normalization: fitting and merging chunks is the adapter's own code")
        if len(self.modes()) > 1:
            raise NoScript("training and inference together take more than 15 statements in jax.numpy")
        calls = {s.call for s in self.case.steps if not s.call.between}
        self.training = self.modes() == {"training"}
        self.where = ", where=mask" if any(c.has_mask for c in calls) else ""
        self.moves = self.training and (self.wanted.startswith("running_") or self.wanted == "state")
        if self.moves and any(c.kind in ("second_order", "tangent", "some_gradients") for c in calls):
            raise NoScript("derivatives in other forms are written here without the moving average")
        lines = [*self.weights(), *self.restart(), *self.define(self.forward())]
        if any(c.kind in ("gradients", "masked_gradients") for c in calls) and not self.compact:
            lines += self.define(self.backward(self.leaves()))
        return lines

    def weights(self) -> Lines:
        """gamma and beta, in one list."""
        return [f"parameters = [{self.array('gamma')}, {self.array('beta')}]"] if self.config.affine else []

    def leaves(self) -> list[str]:
        """What the function is differentiated by."""
        return ["x", "gamma", "beta"] if self.config.affine else ["x"]

    def restart(self) -> Lines:
        """The running statistics, where they are read, in one list."""
        if self.training and not self.moves:
            return []
        return self.state_list()

    def arguments(self) -> list[str]:
        """What the functions take after x."""
        names = ["gamma", "beta"] if self.config.affine else []
        return names + (["running_mean", "running_var"] if self.moves or not self.training else [])

    def passed(self) -> list[str]:
        """The same in a call of a function, in front of epsilon and decay."""
        lists = ["*parameters"] if self.config.affine else []
        return lists + (["*state"] if self.moves or not self.training else [])

    def shaped(self, name: str) -> str:
        """A (C,) array, in the working precision, shaped to broadcast against x."""
        wide = '.astype("float32")' if self.config.parameter_dtype in HALVES else ""
        shape = self.config.channel_shape
        return name + wide + ("" if shape[:-1] == (1,) else f".reshape{shape}")

    def forward(self) -> Statement:
        """The function of the forward pass."""
        config, axes = self.config, self.config.reduce_axes
        half = config.dtype in HALVES
        lines: list[str] = []
        x, wide = "x", 'x.astype("float32")'
        if half and self.training:
            x, lines = "wide", [f"wide = {wide}"]
        if self.training:
            lines.append(f"mean = jax.numpy.mean({x}, {axes}, keepdims=True{self.where})")
            lines.append(f"var = jax.numpy.mean(jax.numpy.square({x} - mean), {axes}, keepdims=True{self.where})")
            y = f"({x} - mean) / jax.numpy.sqrt(var + epsilon)"
        else:
            mean, var = self.shaped("running_mean"), self.shaped("running_var")
            y = f"({wide if half else x} - {mean}) / jax.numpy.sqrt({var} + epsilon)"
        if config.affine:
            y = f"{self.shaped('gamma')} * {y} + {self.shaped('beta')}"
        if half:
            y = f"({y}).astype(x.dtype)"
        header = f"def forward({self.given_all(['x'])}):"
        if not self.moves:
            return block(header, [*lines, f"return {y}"])
        back = ".astype(running_mean.dtype)" if config.parameter_dtype in HALVES else ""
        moved = [
            f"(decay * {old} + (1.0 - decay) * {new}.reshape(-1)){back}"
            for old, new in (("running_mean", "mean"), ("running_var", "var"))
        ]
        return block(header, [*lines, f"return {y}, [{', '.join(moved)}]"])

    def given_all(self, first: Sequence[str]) -> str:
        """These, and all that the functions take after x."""
        numbers = ["epsilon", "decay"] if self.moves else ["epsilon"]
        return ", ".join([*first, *self.arguments(), *numbers])

    def backward(self, leaves: Sequence[str]) -> Statement:
        """The function of both passes: y and the gradients by ``leaves``."""
        inner, whole = ", ".join(leaves), self.given_all(["x"])
        vjp = f"jax.vjp(lambda {inner}: forward({whole}), {inner}"
        if self.moves:
            body = [f"y, back, state = {vjp}, has_aux=True)", "return y, back(dy), state"]
        else:
            body = [f"y, back = {vjp})", "return y, back(dy)"]
        return block(f"def gradients({self.given_all(['x', 'dy'])}):", body)

    def values(self, inputs: Sequence[str]) -> str:
        """What a jitted function is given: these inputs, and all that comes after x."""
        numbers = [repr(self.config.epsilon), repr(self.config.decay)][: 2 if self.moves else 1]
        return ", ".join([*inputs, *self.passed(), *numbers])

    def call(self, step: Step, y: str) -> Lines:
        """One jitted call. Where it has to be short, of a pass with gradients only what is wanted of it."""
        state, given = ", state" if self.moves else "", [self.given(n) for n in step.inputs]
        if not step.call.has_gradients or (self.compact and (self.moves or self.wanted == "y")):
            return [f"{y}{state} = {self.jitted('forward')}({self.values(given[:1])})"]
        if self.compact:
            names = "dx, dgamma, dbeta" if self.config.affine else "dx"
            return [
                f"gradients = {self.jitted('lambda dy, *arguments: jax.vjp(forward, *arguments)[1](dy)')}",
                f"{names}, *_ = gradients({self.values(given[1::-1])})",
            ]
        names = ", ".join(["dx", "dgamma", "dbeta"] if self.config.affine else ["dx,"])
        return [f"{y}, ({names}){state} = {self.jitted('gradients')}({self.values(given)})"]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """One jitted call, differentiated by the wanted arguments only."""
        leaves = [leaf for n, leaf in zip(("dx", "dgamma", "dbeta"), self.leaves()) if n in wanted]
        names = ", ".join(n for n in ("dx", "dgamma", "dbeta") if n in wanted)
        return [
            *self.define(self.backward(leaves)),
            f"{y}, ({names},) = {self.jitted('gradients')}({self.values([self.given(n) for n in step.inputs])})",
        ]

    def second_order(self, step: Step, y: str) -> Lines:
        """The vector-Jacobian product with v of the one with dy."""
        leaves = ["x", "dy", *self.leaves()[1:2]]
        inner, names = ", ".join(leaves), ", ".join(("by_x", "by_dy", "by_gamma")[: len(leaves)])
        first = f"jax.vjp(lambda x: forward({self.given_all(['x'])}), x)[1](dy)[0]"
        body: Lines = [block(f"def first({inner}):", [f"return {first}"]), f"return jax.vjp(first, {inner})[1](v)"]
        if self.compact:
            body = [f"return jax.vjp(lambda {inner}: {first}, {inner})[1](v)"]
        function = block(f"def second({self.given_all(['x', 'dy', 'v'])}):", body)
        return [
            *self.define(function),
            f"{names} = {self.jitted('second')}({self.values([self.given(n) for n in step.inputs])})",
        ]

    def tangent(self, step: Step, y: str) -> Lines:
        """The Jacobian-vector product with v."""
        product = f"jax.jvp(lambda x: forward({self.given_all(['x'])}), (x,), (v,))"
        function = block(f"def tangent({self.given_all(['x', 'v'])}):", [f"return {product}"])
        return [
            *self.define(function),
            f"{y}, along = {self.jitted('tangent')}({self.values([self.given(n) for n in step.inputs])})",
        ]

    def masked(self, step: Step, y: str) -> Lines:
        """The same, as the function reads the mask."""
        return self.call(dataclasses.replace(step, inputs=step.inputs[:-1]), y)

    def between(self, step: Step) -> Lines:
        """Copies of arrays, which never change, and another decay."""
        return self.kept_aside(step, ("state",) if self.moves or not self.training else ())

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return {
            "gamma": "parameters[0]",
            "beta": "parameters[1]",
            "running_mean": "state[0]",
            "running_var": "state[1]",
        }.get(name, name)


class JaxEagerWriter(JaxNumpyWriter):
    """The same operation by operation."""

    def jitted(self, function: str) -> str:
        """The function itself; a lambda stands in brackets."""
        return f"({function})" if function.startswith("lambda") else function
