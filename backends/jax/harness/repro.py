"""Scripts in JAX: the layer written with ``jax.numpy``, and ``flax.nnx.BatchNorm``; jitted, in 64-bit mode."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.writer import Writer, default_parameters, default_state
from bnspec.model.case import BETWEEN, Step
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


class FlaxWriter(JaxWriter):
    """``flax.nnx.BatchNorm`` under nnx.jit."""

    packages = ("flax", "jax")
    imports = (*JaxWriter.imports, "from flax import nnx")
    makes_initial = True

    def build(self) -> list[str]:
        """The module with its variables replaced."""
        config, self.mode, self.defined = self.config, "train", ""  # a new module's mode
        options = [f"axis={config.channel_axis}", f"momentum={config.decay!r}", f"epsilon={config.epsilon!r}"]
        if config.parameter_dtype != "float32":
            options.append(f'param_dtype="{config.parameter_dtype}"')
        if not config.affine:
            options += ["use_bias=False", "use_scale=False"]
        lines = [f"layer = nnx.BatchNorm({config.channels}, {', '.join(options)}, rngs=nnx.Rngs(0))"]
        if self.initial:
            return lines
        if not default_parameters(self.case):
            values = ", ".join(f"nnx.Param({self.array(n)})" for n in ("gamma", "beta"))
            lines.append(f"layer.scale, layer.bias = {values}")
        return lines if default_state(self.case) else lines + self.restart()

    def restart(self) -> list[str]:
        """The batch statistics."""
        values = ", ".join(f"nnx.BatchStat({self.array(n)})" for n in ("running_mean", "running_var"))
        return [f"layer.mean, layer.var = {values}"]

    def in_mode(self, step: Step) -> list[str]:
        """The line that puts the module in the step's mode, where it is in another."""
        mode = "train" if step.call.startswith("training") else "eval"
        lines = [f"layer.{mode}()"] if mode != self.mode else []
        self.mode = mode
        return lines

    def define(self, line: str) -> list[str]:
        """The line that defines a function, where the last one defined is another."""
        lines = [line] if line != self.defined else []
        self.defined = line
        return lines

    def call(self, step: Step, y: str) -> list[str]:
        """The module's call in train() or eval(), or its gradients with the cotangent dy for y."""
        lines, given = self.in_mode(step), ", ".join(self.given(n) for n in step.inputs)
        if not step.call.endswith("_gradients"):
            return [*lines, f"{y} = nnx.jit(lambda layer, x: layer(x))(layer, {given})"]
        loss = "lambda layer, x, dy: (jnp.sum((y := layer(x)) * dy), y)"
        return [
            *lines,
            *self.define(f"gradients = nnx.jit(nnx.value_and_grad({loss}, argnums=(0, 1), has_aux=True))"),
            f"(_, {y}), (parameters, dx) = gradients(layer, {given})",
        ]

    def masked(self, step: Step, y: str) -> list[str]:
        """The same with a mask."""
        given = ", ".join(self.given(n) for n in step.inputs)
        if not step.call.endswith("_gradients"):
            return [*self.in_mode(step), f"{y} = nnx.jit(lambda layer, x, mask: layer(x, mask=mask))(layer, {given})"]
        loss = "lambda layer, x, dy, mask: (jnp.sum((y := layer(x, mask=mask)) * dy), y)"
        return [
            *self.in_mode(step),
            *self.define(f"gradients = nnx.jit(nnx.value_and_grad({loss}, argnums=(0, 1), has_aux=True))"),
            f"(_, {y}), (parameters, dx) = gradients(layer, {given})",
        ]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> list[str]:
        """The gradients by a subset of the module's variables and x."""
        loss = "lambda layer, x, dy: (jnp.sum((y := layer(x)) * dy), y)"
        names = [f'nnx.PathContains("{path}")' for n, path in (("dgamma", "scale"), ("dbeta", "bias")) if n in wanted]
        by = [f"nnx.DiffState(0, nnx.Any({', '.join(names)}))"] if names else []
        by += ["1"] if "dx" in wanted else []
        results = ["parameters"] * bool(names) + ["dx"] * ("dx" in wanted)
        given = ", ".join(self.given(n) for n in step.inputs)
        return [
            *self.in_mode(step),
            f"gradients = nnx.jit(nnx.value_and_grad({loss}, argnums=({', '.join(by)},), has_aux=True))",
            f"(_, {y}), ({', '.join(results)},) = gradients(layer, {given})",
        ]

    def second_order(self, step: Step, y: str) -> list[str]:
        """nnx.grad of nnx.grad."""
        loss, given = "lambda layer, x, dy: jnp.sum(layer(x) * dy)", ", ".join(self.given(n) for n in step.inputs)
        return [
            *self.in_mode(step),
            f"first = nnx.grad({loss}, argnums=1)",
            "product = lambda layer, x, dy, v: jnp.sum(v * first(layer, x, dy))",
            f"parameters, by_x, by_dy = nnx.jit(nnx.grad(product, argnums=(0, 1, 2)))(layer, {given})",
        ]

    def tangent(self, step: Step, y: str) -> list[str]:
        """jax.jvp of a copy of the module, as a module is changed only where it was made."""
        return [
            *self.in_mode(step),
            "@nnx.jit",
            "def tangent(layer, x, v):",
            "    of = lambda x: ((copy := nnx.clone(layer))(x), nnx.state(copy, nnx.BatchStat))",
            "    y, along, statistics = jax.jvp(of, (x,), (v,), has_aux=True)",
            "    nnx.update(layer, statistics)",
            "    return y, along",
            f"{y}, along = tangent(layer, {', '.join(self.given(n) for n in step.inputs)})",
        ]

    def between(self, step: Step) -> list[str]:
        """The state as Flax's bytes and back, nnx.clone, the module's momentum. Raises NoScript: what Flax does not have."""
        match step.call:
            case "save_restore":
                self.imports = (*self.imports, "from flax import serialization")
                return [
                    "graph, state = nnx.split(layer)",
                    "data = serialization.to_bytes(nnx.to_pure_dict(state))",
                    "nnx.replace_by_pure_dict(state, serialization.msgpack_restore(data))",
                    "layer = nnx.merge(graph, state)",
                ]
            case "clone":
                return ["layer, other = nnx.clone(layer), layer"]
            case "swap":
                return ["layer, other = other, layer"]
            case "set_decay":
                return [f"layer.momentum = {step.option('decay')!r}", *self.told_decay(step)]
        return super().between(step)

    def variable(self, name: str) -> str:
        """The module's variables, and the gradients by their names."""
        return {
            "gamma": "layer.scale[...]",
            "beta": "layer.bias[...]",
            "running_mean": "layer.mean[...]",
            "running_var": "layer.var[...]",
            "dgamma": 'parameters["scale"][...]',
            "dbeta": 'parameters["bias"][...]',
            "by_gamma": 'parameters["scale"][...]',
        }.get(name, name)


class JaxNumpyWriter(JaxWriter):
    """The layer as one writes it in JAX, with only the parts that the case needs."""

    def build(self) -> list[str]:
        """The arrays and the functions of the modes in use. Raises NoScript: input normalization is not JAX's."""
        if self.case.subject == "input_norm":
            raise NoScript("jax.numpy has no input normalization: fitting and merging chunks is the adapter's own code")
        if len(self.modes()) > 1:
            raise NoScript("training and inference together take more than 15 lines in jax.numpy")
        calls = {s.call for s in self.case.steps if s.call not in BETWEEN}
        self.training = self.modes() == {"training"}
        self.where = ", where=mask" if any("_masked" in c for c in calls) else ""
        self.moves = self.training and (self.wanted.startswith("running_") or self.wanted == "state")
        if self.moves and any(c.endswith(("_second_order", "_tangent", "_some_gradients")) for c in calls):
            raise NoScript("derivatives in other forms are written here without the moving average")
        lines = []
        if self.config.affine:
            lines.append(f"gamma, beta = {self.array('gamma')}, {self.array('beta')}")
        lines += self.restart()
        lines += self.define(self.forward())
        if calls & {"training_gradients", "inference_gradients", "training_masked_gradients"}:
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
        if not step.call.endswith("_gradients"):
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
