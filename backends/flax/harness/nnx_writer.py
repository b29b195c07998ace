"""Scripts with ``flax.nnx.BatchNorm`` under nnx.jit, in 64-bit mode."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.statements import Lines, Statement, block
from bnspec.backends.harness.scripts.writer import default_parameters, default_state
from bnspec.backends.jax.harness.numpy_writer import JaxWriter
from bnspec.model.case import PARAMETERS, Step

STATE = ("running_mean", "running_var")
#: The module's names for parameters and statistics.
VARIABLES = {"gamma": "scale", "beta": "bias", "running_mean": "mean", "running_var": "var"}


class FlaxWriter(JaxWriter):
    """``flax.nnx.BatchNorm`` under nnx.jit."""

    packages = ("flax", "jax")
    imports = (*JaxWriter.imports, "from flax import nnx")
    makes_initial = True
    last_constructed = ""
    defined: Statement | None = None

    def form_options(self) -> list[str]:
        """Other options of the module."""
        return []

    def build(self) -> Lines:
        """The module with its variables replaced."""
        config, self.mode = self.config, "train"  # a new module's mode
        options = [f"axis={config.channel_axis}", f"momentum={config.decay!r}", f"epsilon={config.epsilon!r}"]
        if config.parameter_dtype != "float32":
            options.append(f'param_dtype="{config.parameter_dtype}"')
        if not config.affine:
            options += ["use_bias=False", "use_scale=False"]
        options += self.form_options()
        last = self.last_constructed
        self.last_constructed = f"layer = nnx.BatchNorm({config.channels}, {', '.join(options)}, rngs=nnx.Rngs(0))"
        lines = [self.last_constructed]
        if self.initial:
            return lines
        if self.compact and last == lines[0] and not any(s.call.between for s in self.given_case.steps):
            return self.put_in(PARAMETERS if config.affine else STATE)
        names = [] if default_parameters(self.case) else ["gamma", "beta"]
        return [*lines, *self.put_in([*names, *([] if default_state(self.case) else STATE)])]

    def restart(self) -> Lines:
        """The batch statistics."""
        return self.put_in(STATE)

    def put_in(self, names: Sequence[str]) -> Lines:
        """The module's variables by nnx.update."""
        values = ", ".join(f'"{VARIABLES[n]}": {self.array(n)}' for n in names)
        return [f"nnx.update(layer, {{{values}}})"] if names else []

    def in_mode(self, step: Step) -> Lines:
        """The line that puts the module in the step's mode, where it is in another."""
        mode = "train" if step.call.mode == "training" else "eval"
        lines = [f"layer.{mode}()"] if mode != self.mode else []
        self.mode = mode
        return lines

    def define(self, function: Statement) -> Lines:
        """The function, where the last one defined is another."""
        lines = [function] if function != self.defined else []
        self.defined = function
        return lines

    def call(self, step: Step, y: str) -> Lines:
        """The module's call in train() or eval(), or its gradients with the cotangent dy for y."""
        return self.applied(step, y, "layer(x)")

    def masked(self, step: Step, y: str) -> Lines:
        """The same with a mask."""
        return self.applied(step, y, "layer(x, mask=mask)")

    def applied(self, step: Step, y: str, forward: str) -> Lines:
        """The expression ``forward`` under nnx.jit, or its gradients; y is not computed beside them where it has to be short."""
        passes_back = step.call.has_gradients and not (self.compact and not self.wants_gradient())
        kept = [k for k, name in enumerate(step.call.inputs) if passes_back or name != "dy"]
        names = ", ".join(step.call.inputs[k] for k in kept)
        given = ", ".join(self.given(step.inputs[k]) for k in kept)
        if not passes_back:
            return [*self.in_mode(step), f"{y} = nnx.jit(lambda layer, {names}: {forward})(layer, {given})"]
        if self.compact:
            loss = f"lambda layer, {names}: jax.numpy.sum({forward} * dy)"
            defined = self.define(Statement(f"gradients = nnx.jit(nnx.grad({loss}, argnums=(0, 1)))"))
            return [*self.in_mode(step), *defined, f"parameters, dx = gradients(layer, {given})"]
        function = block(f"def loss(layer, {names}):", [f"y = {forward}", "return jax.numpy.sum(y * dy), y"])
        gradients = "nnx.jit(nnx.value_and_grad(loss, argnums=(0, 1), has_aux=True))"
        return [
            *self.in_mode(step),
            *self.define(function),
            f"(_, {y}), (parameters, dx) = {gradients}(layer, {given})",
        ]

    def some_gradients(self, step: Step, y: str, wanted: Sequence[str]) -> Lines:
        """The gradients by a subset of the module's variables and x."""
        loss = block("def loss(layer, x, dy):", ["y = layer(x)", "return jax.numpy.sum(y * dy), y"])
        names = [f'nnx.PathContains("{path}")' for n, path in (("dgamma", "scale"), ("dbeta", "bias")) if n in wanted]
        by = [f"nnx.DiffState(0, nnx.Any({', '.join(names)}))"] if names else []
        by += ["1"] if "dx" in wanted else []
        results = ["parameters"] * bool(names) + ["dx"] * ("dx" in wanted)
        given = ", ".join(self.given(n) for n in step.inputs)
        return [
            *self.in_mode(step),
            *self.define(loss),
            f"gradients = nnx.jit(nnx.value_and_grad(loss, argnums=({', '.join(by)},), has_aux=True))",
            f"(_, {y}), ({', '.join(results)},) = gradients(layer, {given})",
        ]

    def second_order(self, step: Step, y: str) -> Lines:
        """nnx.grad of nnx.grad."""
        given = ", ".join(self.given(n) for n in step.inputs)
        return [
            *self.in_mode(step),
            "first = nnx.grad(lambda layer, x, dy: jax.numpy.sum(layer(x) * dy), argnums=1)",
            block("def product(layer, x, dy, v):", ["return jax.numpy.sum(v * first(layer, x, dy))"]),
            f"parameters, by_x, by_dy = nnx.jit(nnx.grad(product, argnums=(0, 1, 2)))(layer, {given})",
        ]

    def tangent(self, step: Step, y: str) -> Lines:
        """jax.jvp of a copy of the module, as a module is changed only where it was made."""
        given = ", ".join(self.given(n) for n in step.inputs)
        if self.compact and self.wanted in ("y", "along"):  # what the pass does to the statistics is not read
            jvp = "jax.jvp(lambda x: nnx.clone(layer)(x), (x,), (v,))"
            short = block("def tangent(layer, x, v):", [f"return {jvp}"])
            return [*self.in_mode(step), *self.define(short), f"{y}, along = nnx.jit(tangent)(layer, {given})"]
        forward = ["copy = nnx.clone(layer)", "return copy(x), nnx.state(copy, nnx.BatchStat)"]
        body: Lines = [
            block("def forward(x):", forward),
            "y, along, statistics = jax.jvp(forward, (x,), (v,), has_aux=True)",
            "nnx.update(layer, statistics)",
            "return y, along",
        ]
        function = block("def tangent(layer, x, v):", body)
        return [*self.in_mode(step), *self.define(function), f"{y}, along = nnx.jit(tangent)(layer, {given})"]

    def between(self, step: Step) -> Lines:
        """The state as Flax's bytes and back, nnx.clone, the module's momentum. Raises NoScript: what Flax does not have."""
        match step.call.kind:
            case "save_restore":
                self.imports = (*JaxWriter.imports, "from flax import nnx, serialization")
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
                return [f"layer.momentum = {step.option('decay')!r}", *self.with_decay(step)]
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


class StableFlaxWriter(FlaxWriter):
    """The module with the variance computed in two passes."""

    def form_options(self) -> list[str]:
        """The option of the adapter."""
        return ["use_fast_variance=False"]


class DtypeFlaxWriter(StableFlaxWriter):
    """The same with the dtype of x."""

    def form_options(self) -> list[str]:
        """The options of the adapter."""
        return [*super().form_options(), f'dtype="{self.config.dtype}"']
