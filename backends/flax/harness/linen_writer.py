"""Scripts with ``flax.linen.BatchNorm``, whose variables the caller keeps; jitted, in 64-bit mode."""

from __future__ import annotations

from bnspec.backends.jax.harness.pure_writer import PureWriter
from bnspec.model.case import Step
from bnspec.model.conventions import HALVES


class LinenWriter(PureWriter):
    """``flax.linen.BatchNorm`` applied to variables."""

    packages = ("flax", "jax")
    imports = (*PureWriter.imports, "from flax import linen")

    def build(self) -> list[str]:
        """The module and its parameters."""
        config = self.config
        options = [f"axis={config.channel_axis}", f"momentum={config.decay!r}", f"epsilon={config.epsilon!r}"]
        if config.parameter_dtype != "float32":
            options.append(f'param_dtype="{config.parameter_dtype}"')
        if not config.affine:
            options += ["use_bias=False", "use_scale=False"]
        parameters = f'{{"scale": {self.array("gamma")}, "bias": {self.array("beta")}}}' if config.affine else "{}"
        return [f"layer, params = linen.BatchNorm({', '.join(options)}), {parameters}", *self.restart()]

    def restart(self) -> list[str]:
        """The batch statistics."""
        return [f'stats = {{"mean": {self.array("running_mean")}, "var": {self.array("running_var")}}}']

    def call(self, step: Step, y: str) -> list[str]:
        """The module applied, or its vector-Jacobian product; training gives new batch statistics."""
        training, given = step.call.mode == "training", ", ".join(self.given(n) for n in step.inputs)
        variables = '{"params": params, "batch_stats": stats}'
        mode = 'False, mutable=["batch_stats"]' if training else "True"
        applied, new = f"layer.apply({variables}, x, {mode})", f"({y}, new)" if training else y
        if not step.call.has_gradients:
            after = ['stats = new["batch_stats"]'] if training else []
            return [f"{new} = jax.jit(lambda params, stats, x: {applied})(params, stats, {given})", *after]
        aux = ", has_aux=True" if training else ""
        pulled = f"jax.vjp(lambda x, params: {applied}, x, params{aux})"
        names, back = "y, back", f"y, back({self.cotangent()})"
        names, results = (f"{names}, new", f"{back}, new") if training else (names, back)
        after = ['stats, dgamma, dbeta = new["batch_stats"], dp.get("scale"), dp.get("bias")']
        return [
            f"both = jax.jit(lambda params, stats, x, dy: (lambda {names}: ({results}))(*{pulled}))",
            f"{y}, (dx, dp){', new' if training else ''} = both(params, stats, {given})",
            *(after if training else ['dgamma, dbeta = dp.get("scale"), dp.get("bias")']),
        ]

    def applied(self, training: bool, mask: str = "") -> str:
        """The module applied."""
        mode = 'False, mutable=["batch_stats"]' if training else "True"
        given = f", mask={mask}" if mask else ""
        return f'layer.apply({{"params": w, "batch_stats": stats}}, x, {mode}{given})'

    def cotangent(self) -> str:
        """dy; beside a half-precision x y is as wide as the parameters."""
        promoted = self.config.dtype in HALVES and self.config.affine
        return f'dy.astype("{self.config.parameter_dtype}")' if promoted else "dy"

    def gives_pair(self, training: bool) -> bool:
        """In inference nothing is mutable."""
        return training

    def after(self, aux: str) -> str:
        """The new batch statistics."""
        return f'{aux}["batch_stats"]'

    def weights(self, gamma: str, beta: str) -> str:
        """Parameters of these values."""
        return f'{{"scale": {gamma}, "bias": {beta}}}' if self.config.affine else "{}"

    def between(self, step: Step) -> list[str]:
        """The variables as Flax's bytes and back, copies of them, a clone of the module with another momentum."""
        match step.call.kind:
            case "save_restore":
                self.imports = (*self.imports, "from flax import serialization")
                variables = '{"params": params, "batch_stats": stats}'
                return [
                    f"read = serialization.from_bytes({variables}, serialization.to_bytes({variables}))",
                    'params, stats = read["params"], read["batch_stats"]',
                ]
            case "set_decay":
                return [f"layer = layer.clone(momentum={step.option('decay')!r})", *self.told_decay(step)]
        return self.kept_aside(step, ("layer", "stats"))

    def variable(self, name: str) -> str:
        """The variables by their names."""
        return {
            "gamma": 'params["scale"]',
            "beta": 'params["bias"]',
            "by_gamma": 'dw["scale"]',
            "running_mean": 'stats["mean"]',
            "running_var": 'stats["var"]',
        }.get(name, name)
