"""Scripts with ``haiku.BatchNorm``, whose parameters and state the caller keeps; jitted, in 64-bit mode."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.jax.harness.numpy_writer import TWO_DEVICES
from bnspec.backends.jax.harness.state_writer import StateWriter
from bnspec.model.case import Step

#: Steps of a layer that is given statistics: so many that the averages are divided by 1.
MANY = 2**30


class HaikuWriter(StateWriter):
    """The module, transformed with its state, and applied to both."""

    packages = ("haiku", "jax")
    imports = (*StateWriter.imports, "import haiku")
    by_gamma = '["batch_norm"]["scale"]'

    def form_options(self) -> str:
        """Other options of the module."""
        return ""

    def build(self) -> Lines:
        """The module, its parameters, and its state."""
        config = self.config
        place = "channels_first" if config.channel_axis == 1 else "channels_last"
        options = f'{config.affine}, {config.affine}, {config.decay!r}, {config.epsilon!r}, data_format="{place}"'
        options += self.form_options()
        apply = f"haiku.BatchNorm({options})(x, is_training)"
        parameters = self.weights(self.shaped("gamma"), self.shaped("beta")) if config.affine else "{}"
        return [
            f"layer = haiku.transform_with_state(lambda x, is_training: {apply})",
            f"params = {parameters}",
            *self.restart(),
        ]

    def restart(self) -> Lines:
        """The state of a layer that has taken many steps."""
        names = (("mean_ema", "running_mean"), ("var_ema", "running_var"))
        given = ", ".join(f'"{name}": {self.shaped(array)}' for name, array in names)
        kept = f'{{"hidden": a, "average": a, "counter": {MANY}}}'
        return [f'state = {{"batch_norm/~/" + n: {kept} for n, a in {{{given}}}.items()}}']

    def shaped(self, name: str) -> str:
        """An array of channels, in the shape of the module's own."""
        return f"{self.array(name)}.reshape{self.config.channel_shape}"

    def called(self, step: Step, y: str) -> Lines:
        """The module applied."""
        given = f"params, state, None, {self.given(step.inputs[0])}, {step.call.mode == 'training'}"
        return [f"{y}, state = jax.jit(layer.apply, static_argnums=4)({given})"]

    def averages(self) -> str:
        """Those that inference uses."""
        return '(kept["average"] for kept in new.values())'

    def applied(self, training: bool, mask: str = "") -> str:
        """The module applied."""
        return f"layer.apply(w, state, None, x, {training})"

    def weights(self, gamma: str, beta: str) -> str:
        """Parameters of these values."""
        return f'{{"batch_norm": {{"scale": {gamma}, "offset": {beta}}}}}'

    def gradient(self, name: str) -> str:
        """A gradient by its name, or cut out of those of all parameters."""
        packed = {"dgamma": "scale", "dbeta": "offset"} if self.packed else {"by_gamma": "scale"}
        return f'dw["batch_norm"]["{packed[name]}"].reshape(-1)' if name in packed else name

    def variable(self, name: str) -> str:
        """The variables by their names."""
        return {
            "gamma": 'params["batch_norm"]["scale"].reshape(-1)',
            "beta": 'params["batch_norm"]["offset"].reshape(-1)',
            "running_mean": 'state["batch_norm/~/mean_ema"]["average"].reshape(-1)',
            "running_var": 'state["batch_norm/~/var_ema"]["average"].reshape(-1)',
        }.get(name, self.gradient(name))


class ReplicasWriter(HaikuWriter):
    """The module on two host devices; a batch of odd size is whole on each."""

    environment = f"{StateWriter.environment} {TWO_DEVICES}"

    def preamble(self) -> Lines:
        """64-bit mode, and the devices."""
        mesh = 'mesh, every = jax.make_mesh((2,), ("replicas",), (jax.sharding.AxisType.Auto,)), jax.P()'
        return [*super().preamble(), mesh]

    def form_options(self) -> str:
        """The option of the adapter."""
        return ', cross_replica_axis="replicas"'

    def on_devices(self, training: bool) -> str:
        """The module applied to each device's rows."""
        batch = next(self.given_case.arrays[s.inputs[0]].shape[0] for s in self.given_case.steps if s.inputs)
        rows = "every" if batch % 2 else 'jax.P("replicas")'
        specs = f"mesh=mesh, in_specs=(every, every, {rows}), out_specs=({rows}, every)"
        return f"jax.shard_map(lambda w, s, x: layer.apply(w, s, None, x, {training}), {specs})"

    def called(self, step: Step, y: str) -> Lines:
        """The module applied."""
        run = self.on_devices(step.call.mode == "training")
        return [f"{y}, state = jax.jit({run})(params, state, {self.given(step.inputs[0])})"]

    def applied(self, training: bool, mask: str = "") -> str:
        """The module applied."""
        return f"{self.on_devices(training)}(w, state, x)"
