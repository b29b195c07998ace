"""Scripts with ``sonnet.BatchNorm``, eager."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines, block
from bnspec.backends.tensorflow.harness.writer import TensorflowWriter
from bnspec.model.case import Step

#: Steps of a layer that is given statistics: so many that the averages are divided by 1.
MANY = 2**40


class SonnetWriter(TensorflowWriter):
    """The module, which makes its variables when it is called first."""

    packages = ("sonnet", "tensorflow")
    imports = ("import sonnet", "import tensorflow as tf")
    differentiated = ()

    def build(self) -> Lines:
        """The module with these values."""
        config = self.config
        place = "channels_first" if config.channel_axis == 1 else "channels_last"
        options = f'{config.affine}, {config.affine}, {config.decay!r}, {config.epsilon!r}, data_format="{place}"'
        given = [("scale", "gamma"), ("offset", "beta")] if config.affine else []
        return [
            f"layer = sonnet.BatchNorm({options})",
            f'layer(tf.zeros({config.channel_shape}, "{config.dtype}"), is_training=False)',
            *self.assigned([(own, self.array(name)) for own, name in given] + self.averages()),
        ]

    def restart(self) -> Lines:
        """The averages."""
        return self.assigned(self.averages())

    def averages(self) -> list[tuple[str, str]]:
        """By variable, the value in a layer that has taken many steps."""
        names = (("moving_mean", "running_mean"), ("moving_variance", "running_var"))
        given = [(own, self.array(name)) for own, name in names]
        values = [(f"{own}.{part}", value) for own, value in given for part in ("_hidden", "average")]
        return [*values, *((f"{own}._counter", f'tf.constant({MANY}, "int64")') for own, _ in given)]

    def assigned(self, values: Sequence[tuple[str, str]]) -> Lines:
        """Lines that assign values to variables of the layer."""
        pairs = ", ".join(f"(layer.{variable}, {value})" for variable, value in values)
        return [block(f"for variable, value in ({pairs}):", ["variable.assign(tf.reshape(value, variable.shape))"])]

    def forward(self, x: str, y: str, training: bool) -> Lines:
        """The module's call."""
        return [f"{y} = layer({x}, is_training={training})"]

    def leaves(self) -> Sequence[str]:
        """scale and offset."""
        return ["layer.scale", "layer.offset"] if self.config.affine else []

    def between(self, step: Step) -> Lines:
        """Another decay. Raises NoScript: what Sonnet has no call for."""
        if step.call.kind != "set_decay":
            raise NoScript(f"Sonnet has no call for {step.call}")
        decay = f"layer.moving_mean._decay = layer.moving_variance._decay = {step.option('decay')!r}"
        return [decay, *self.with_decay(step)]

    def variable(self, name: str) -> str:
        """The module's variables, and gradients, by channel."""
        own = {"gamma": "layer.scale", "beta": "layer.offset", "dgamma": name, "dbeta": name, "by_gamma": name}
        averages = {"running_mean": "layer.moving_mean.value", "running_var": "layer.moving_variance.value"}
        kept = {**own, **averages}.get(name)
        return f"tf.reshape({kept}, [-1])" if kept else name
