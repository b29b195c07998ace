"""Scripts with ``flax.nnx.BatchNorm`` under nnx.jit, in 64-bit mode."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.writer import default_parameters, default_state
from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.model.case import Step


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
        mode = "train" if step.call.mode == "training" else "eval"
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
        if not step.call.has_gradients:
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
        if not step.call.has_gradients:
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
        match step.call.kind:
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
