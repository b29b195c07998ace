"""Scripts with ``flax.linen.BatchNorm``, whose variables the caller keeps, and with its options; jitted, in 64-bit mode."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.jax.harness.pure_writer import PureWriter
from bnspec.model.case import Step
from bnspec.model.conventions import HALVES


class LinenWriter(PureWriter):
    """``flax.linen.BatchNorm`` applied to variables."""

    packages = ("flax", "jax")
    imports = (*PureWriter.imports, "from flax import linen")
    parameters, states = 'variables["params"]', 'variables["batch_stats"]'
    #: The function that applies the module to its variables and x.
    apply = "layer.apply"

    def form_options(self) -> list[str]:
        """Other options of the module."""
        return []

    def build(self) -> Lines:
        """The module and its parameters."""
        config = self.config
        options = [f"axis={config.channel_axis}", f"momentum={config.decay!r}", f"epsilon={config.epsilon!r}"]
        if config.parameter_dtype != "float32":
            options.append(f'param_dtype="{config.parameter_dtype}"')
        if not config.affine:
            options += ["use_bias=False", "use_scale=False"]
        options += self.form_options()
        parameters = f'{{"scale": {self.array("gamma")}, "bias": {self.array("beta")}}}' if config.affine else "{}"
        variables = f'{{"params": {parameters}, "batch_stats": {self.statistics()}}}'
        return [f"layer = linen.BatchNorm({', '.join(options)})", f"variables = {variables}"]

    def restart(self) -> Lines:
        """The batch statistics."""
        return [f"{self.states} = {self.statistics()}"]

    def statistics(self) -> str:
        """The batch statistics of the case."""
        return f'{{"mean": {self.array("running_mean")}, "var": {self.array("running_var")}}}'

    def call(self, step: Step, y: str) -> Lines:
        """The module applied, or its vector-Jacobian product; training gives new batch statistics."""
        training = step.call.mode == "training"
        x, *dy = (self.given(n) for n in step.inputs)
        mode = 'False, mutable=["batch_stats"]' if training else "True"
        after = [f"{self.states} = {self.after('new')}"] if training and self.reads_moved_state() else []
        if not dy or (self.compact and not self.wants_gradient()):
            new = f"({y}, new)" if training else y
            apply = f"jax.jit(lambda variables, x: {self.apply}(variables, x, {mode}))"
            return [f"{new} = {apply}(variables, {x})", *after]
        self.packed = True
        define, of = self.forward(step)
        given = f"{x}, {dy[0]}, {self.parameters}"
        if self.compact:
            gradients = f"jax.jit(lambda x, dy, w: jax.vjp(lambda x, w: {of}, x, w)[1]({self.cotangent()}))"
            return [*define, f"gradients = {gradients}", f"dx, dw = gradients({given})"]
        names, results = ("y, back, new", "y, new") if training else ("y, back", "y")
        vjp = f"{names} = jax.vjp(forward, x, w{', has_aux=True' if training else ''})"
        function = block("def gradients(x, dy, w):", [vjp, f"return {results}, back({self.cotangent()})"])
        call = f"{y}{', new' if training else ''}, (dx, dw) = {self.jitted('gradients')}({given})"
        return [*define, *self.define(function), call, *after]

    def applied(self, training: bool, mask: str = "") -> str:
        """The module applied."""
        mode = 'False, mutable=["batch_stats"]' if training else "True"
        given = f", mask={mask}" if mask else ""
        return f'{self.apply}({{**variables, "params": w}}, x, {mode}{given})'

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

    def between(self, step: Step) -> Lines:
        """The variables as Flax's bytes and back, copies of them, a clone of the module with another momentum."""
        match step.call.kind:
            case "save_restore":
                self.imports = (*self.imports, "from flax import serialization")
                return ["variables = serialization.from_bytes(variables, serialization.to_bytes(variables))"]
            case "set_decay":
                return [f"layer = layer.clone(momentum={step.option('decay')!r})", *self.with_decay(step)]
        return self.kept_aside(step, ("layer", self.states))

    def variable(self, name: str) -> str:
        """The variables by their names."""
        return {
            "gamma": 'variables["params"]["scale"]',
            "beta": 'variables["params"]["bias"]',
            "running_mean": 'variables["batch_stats"]["mean"]',
            "running_var": 'variables["batch_stats"]["var"]',
        }.get(name, self.gradient(name))


class StableLinenWriter(LinenWriter):
    """The module with the variance computed in two passes."""

    def form_options(self) -> list[str]:
        """The option of the adapter."""
        return ["use_fast_variance=False"]


class DtypeLinenWriter(StableLinenWriter):
    """The same with the dtype of x."""

    def form_options(self) -> list[str]:
        """The options of the adapter."""
        return [*super().form_options(), f'dtype="{self.config.dtype}"']

    def cotangent(self) -> str:
        """dy: y has the dtype of x."""
        return "dy"


class LinenReplicasWriter(LinenWriter):
    """The module with an axis name, mapped over the halves of the batch; a batch of odd size is one replica's."""

    apply = "apply"

    def form_options(self) -> list[str]:
        """The option of the adapter."""
        return ['axis_name="replicas"']

    def build(self) -> Lines:
        """The module, its variables, and the function that maps it."""
        mapped = 'jax.vmap(lambda x: layer.apply(variables, x, average, **options), axis_name="replicas")'
        extent = next(self.given_case.arrays[s.inputs[0]].shape[0] for s in self.given_case.steps if s.inputs)
        if not extent:
            raise NoScript("no lines are written here for an empty batch on replicas")
        replicas = 1 if extent % 2 else 2
        body = [
            f"out = {mapped}(x.reshape({replicas}, -1, *x.shape[1:]))",
            "return jax.tree.map(lambda a: a.reshape(x.shape) if a.ndim > 2 else a[0], out)",
        ]
        return [*super().build(), *self.define(block("def apply(variables, x, average, **options):", body))]

    def masked(self, step: Step, y: str) -> Lines:
        """Raises NoScript."""
        raise NoScript(f"no lines are written here for {step.call} on replicas")
