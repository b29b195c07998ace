"""Scripts with ``equinox.nn.BatchNorm`` in its two modes, under jax.vmap and jax.jit, in 64-bit mode."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.jax.harness.state_writer import StateWriter
from bnspec.model.case import Step

#: Steps of a layer that is given statistics: so many that the averages are divided by 1.
MANY = 2**30


class BatchWriter(StateWriter):
    """Mode "batch". The parameters are the pair of weight and bias."""

    packages = ("equinox", "jax")
    imports = (*StateWriter.imports, "from equinox import nn, tree_at")
    makes_initial = True
    by_gamma = "[0]"
    mode, arrays, counted, count = "batch", "batch_state_index", "batch_counter", f"jax.numpy.array({MANY})"

    def build(self) -> Lines:
        """The module, its state, and its parameters."""
        config = self.config
        options = [f"eps={config.epsilon!r}", f"momentum={config.decay!r}", f"channelwise_affine={config.affine}"]
        options += [f'dtype="{config.parameter_dtype}"', f'mode="{self.mode}"']
        made = f'nn.make_with_state(nn.BatchNorm)({config.channels}, "batch", {", ".join(options)})'
        own = "(layer.weight, layer.bias)" if config.affine else "()"
        parameters = self.weights(self.array("gamma"), self.array("beta")) if config.affine else "()"
        restart = [] if self.initial else self.restart()
        return [f"layer, state = {made}", f"params = {own if self.initial else parameters}", *restart]

    def restart(self) -> Lines:
        """The state of a layer that has taken many steps."""
        given = f"({self.array('running_mean')}, {self.array('running_var')})"
        return [f"state = state.set(layer.{self.arrays}, {given}).set(layer.{self.counted}, {self.count})"]

    def called(self, step: Step, y: str) -> Lines:
        """The module applied; its state is an argument, as in every compiled call of a user."""
        applied = f"lambda x, w, state: {self.applied(step.call.mode == 'training')}"
        return [f"{y}, state = jax.jit({applied})({self.given(step.inputs[0])}, params, state)"]

    def averages(self) -> str:
        """Both arrays of the state."""
        return f"new.get(layer.{self.arrays})"

    def applied(self, training: bool, mask: str = "") -> str:
        """The module applied to the samples of a batch, over whose axis it averages."""
        module = "tree_at(lambda m: (m.weight, m.bias), layer, w)" if self.config.affine else "layer"
        called = f"lambda x: {module}(x, state, inference={not training})"
        return f'jax.vmap({called}, axis_name="batch", out_axes=(0, None))(x)'

    def weights(self, gamma: str, beta: str) -> str:
        """Parameters of these values."""
        return f"({gamma}, {beta})"

    def variable(self, name: str) -> str:
        """The parameters, and the statistics that inference uses."""
        index = {"running_mean": 0, "running_var": 1}.get(name)
        if index is not None:
            return self.statistic(f"state.get(layer.{self.arrays})[{index}]")
        return {"gamma": "params[0]", "beta": "params[1]"}.get(name, self.gradient(name))

    def statistic(self, kept: str) -> str:
        """What inference uses of an average: that of a new layer divided by 1 - momentum^steps."""
        return (
            f"({kept} / (1 - {self.config.decay!r} ** int(state.get(layer.batch_counter))))" if self.initial else kept
        )


class EmaWriter(BatchWriter):
    """Mode "ema"."""

    mode, arrays, counted, count = "ema", "ema_state_index", "ema_first_time_index", "jax.numpy.array(False)"

    def statistic(self, kept: str) -> str:
        """The average itself."""
        return kept
