"""Scripts with ``haiku.BatchNorm``, whose parameters and state the caller keeps; jitted, in 64-bit mode."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.jax.harness.pure_writer import PureWriter
from bnspec.model.case import Step

#: Steps of a layer that is given statistics: so many that the averages are divided by 1.
MANY = 2**30


class HaikuWriter(PureWriter):
    """The module, transformed with its state, and applied to both."""

    packages = ("haiku", "jax")
    imports = (*PureWriter.imports, "import haiku")
    states, by_gamma = "state", '["batch_norm"]["scale"]'

    def build(self) -> Lines:
        """The module, its parameters, and its state."""
        config = self.config
        place = "channels_first" if config.channel_axis == 1 else "channels_last"
        options = f'{config.affine}, {config.affine}, {config.decay!r}, {config.epsilon!r}, data_format="{place}"'
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

    def call(self, step: Step, y: str) -> Lines:
        """The module applied, or its vector-Jacobian product."""
        training = step.call.mode == "training"
        x, *dy = (self.given(n) for n in step.inputs)
        if not dy or (self.compact and not self.wants_gradient()):
            return [f"{y}, state = jax.jit(layer.apply, static_argnums=4)(params, state, None, {x}, {training})"]
        self.packed = True
        define, _ = self.forward(step)
        if self.compact:
            gradients = "jax.jit(lambda x, dy, w: jax.vjp(forward, x, w, has_aux=True)[1](dy))"
            return [*define, f"dx, dw = {gradients}({x}, {dy[0]}, params)"]
        vjp = "y, back, new = jax.vjp(forward, x, w, has_aux=True)"
        function = block("def gradients(x, dy, w):", [vjp, "return y, back(dy), new"])
        call = f"{y}, (dx, dw), state = {self.jitted('gradients')}({x}, {dy[0]}, params)"
        return [*define, *self.define(function), call]

    def applied(self, training: bool, mask: str = "") -> str:
        """The module applied."""
        return f"layer.apply(w, state, None, x, {training})"

    def after(self, aux: str) -> str:
        """The new state."""
        return aux

    def weights(self, gamma: str, beta: str) -> str:
        """Parameters of these values."""
        return f'{{"batch_norm": {{"scale": {gamma}, "offset": {beta}}}}}'

    def state_gradients(self, step: Step, y: str) -> Lines:
        """The vector-Jacobian product of y and of the new averages, whose cotangents are 1."""
        x, dy = (self.given(n) for n in step.inputs)
        self.packed = True
        lines = [
            f"y, new = {self.applied(training=True)}",
            'return (dy * y).sum() + sum(kept["average"].sum() for kept in new.values()), (y, new)',
        ]
        call = f"(dx, dw), ({y}, state) = jax.jit(jax.grad(loss, (0, 1), has_aux=True))({x}, params, {dy})"
        return [*self.define(block("def loss(x, w, dy):", lines)), call]

    def between(self, step: Step) -> Lines:
        """Copies of the state. Raises NoScript: what takes a module that owns its variables."""
        return self.kept_aside(step, ("layer", "state"))

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
