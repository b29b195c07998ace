"""Scripts in JAX: the layer written with ``jax.numpy``, and ``flax.nnx.BatchNorm``; jitted, in 64-bit mode."""

from __future__ import annotations

from bnspec.case import Step
from bnspec.conformance.repro.literals import Literal, NoScript, numpy_expression
from bnspec.conformance.repro.writer import Writer, default_parameters, default_state, python_name
from bnspec.profiles import HALVES


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

    def given(self, name: str) -> str:
        """An input as it is named in the script."""
        return name if self.is_part(name) else python_name(name)


class FlaxWriter(JaxWriter):
    """``flax.nnx.BatchNorm`` under nnx.jit."""

    packages = ("flax", "jax")
    imports = (*JaxWriter.imports, "from flax import nnx")

    def build(self) -> list[str]:
        """The module with its variables replaced."""
        config, self.mode = self.config, "train"  # a new module's mode
        options = [f"axis={config.channel_axis}", f"momentum={config.decay!r}", f"epsilon={config.epsilon!r}"]
        if config.parameter_dtype != "float32":
            options.append(f'param_dtype="{config.parameter_dtype}"')
        if not config.affine:
            options += ["use_bias=False", "use_scale=False"]
        lines = [f"layer = nnx.BatchNorm({config.channels}, {', '.join(options)}, rngs=nnx.Rngs(0))"]
        if not default_parameters(self.case):
            values = ", ".join(f"nnx.Param({self.array(n)})" for n in ("gamma", "beta"))
            lines.append(f"layer.scale, layer.bias = {values}")
        return lines if default_state(self.case) else lines + self.restart()

    def restart(self) -> list[str]:
        """The batch statistics."""
        values = ", ".join(f"nnx.BatchStat({self.array(n)})" for n in ("running_mean", "running_var"))
        return [f"layer.mean, layer.var = {values}"]

    def call(self, step: Step, y: str) -> list[str]:
        """The module's call in train() or eval(), or its gradients with the cotangent dy for y."""
        mode = "train" if step.call.startswith("training") else "eval"
        lines = [f"layer.{mode}()"] if mode != self.mode else []
        self.mode = mode
        given = ", ".join(self.given(n) for n in step.inputs)
        if not step.call.endswith("_gradients"):
            return [*lines, f"{y} = nnx.jit(lambda layer, x: layer(x))(layer, {given})"]
        loss = "lambda layer, x, dy: (jnp.sum((y := layer(x)) * dy), y)"
        return [
            *lines,
            f"gradients = nnx.jit(nnx.value_and_grad({loss}, argnums=(0, 1), has_aux=True))",
            f"(_, {y}), (parameters, dx) = gradients(layer, {given})",
        ]

    def variable(self, name: str) -> str:
        """The module's variables, and the gradients by their names."""
        return {
            "gamma": "layer.scale[...]",
            "beta": "layer.bias[...]",
            "running_mean": "layer.mean[...]",
            "running_var": "layer.var[...]",
            "dgamma": 'parameters["scale"][...]',
            "dbeta": 'parameters["bias"][...]',
        }.get(name, name)


class JaxNumpyWriter(JaxWriter):
    """The layer as one writes it in JAX, with only the parts that the case needs."""

    def build(self) -> list[str]:
        """The arrays and the functions of the modes in use. Raises NoScript: input normalization is not JAX's."""
        if self.case.subject == "input_norm":
            raise NoScript("jax.numpy has no input normalization: fitting and merging chunks is the adapter's own code")
        modes = dict.fromkeys(s.call for s in self.case.steps)
        if len({m.partition("_")[0] for m in modes}) > 1:
            raise NoScript("training and inference together take more than 15 lines in jax.numpy")
        self.training = next(iter(modes)).startswith("training")
        self.moves = self.training and (self.wanted.startswith("running_") or self.wanted == "state")
        lines = []
        if self.config.affine:
            lines.append(f"gamma, beta = {self.array('gamma')}, {self.array('beta')}")
        lines += self.restart() + self.forward()
        if any(m.endswith("_gradients") for m in modes):
            lines += self.backward()
        return lines

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
                lines.append(f"    mean = jnp.mean({z}, {axes}, keepdims=True)")
                centred = f"({z} - mean)"
            else:
                lines.append(f"    z = {x} - jnp.mean({x}, {axes}, keepdims=True)")
                centred = "z"
            var = f"jnp.mean(jnp.square({centred}), {axes}, keepdims=True)"
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

    def backward(self) -> list[str]:
        """The function of both passes: y, dx, dgamma and dbeta."""
        leaves = ["x", "gamma", "beta"] if self.config.affine else ["x"]
        others = [n for n in self.arguments() if n not in leaves]
        numbers = ["epsilon", "decay"] if self.moves else ["epsilon"]
        inner, outer = ", ".join(leaves), ", ".join(["x", "dy", *leaves[1:], *others, *numbers])
        back = f"jax.vjp(lambda {inner}: forward({', '.join([*leaves, *others, *numbers])}), {inner}"
        if self.moves:
            both = f"(lambda y, back, after: ((y, *back(dy)), after))(*{back}, has_aux=True))"
        else:
            both = f"(lambda y, back: (y, *back(dy)))(*{back}))"
        return [f"gradients = lambda {outer}: {both}"]

    def call(self, step: Step, y: str) -> list[str]:
        """One jitted call."""
        x, *dy = (self.given(n) for n in step.inputs)
        numbers = [repr(self.config.epsilon), repr(self.config.decay)][: 2 if self.moves else 1]
        given = ", ".join([x, *dy, *self.arguments(), *numbers])
        state = ", (running_mean, running_var)" if self.moves else ""
        if not dy:
            return [f"{y}{state} = jax.jit(forward)({given})"]
        names = ", ".join([y, "dx", "dgamma", "dbeta"] if self.config.affine else [y, "dx"])
        return [f"{f'({names}){state}' if state else names} = jax.jit(gradients)({given})"]

    def variable(self, name: str) -> str:
        """The names that the lines give."""
        return name
