"""Scripts in Keras on TensorFlow: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from bnspec.backends.harness.scripts.literals import NoScript, number
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.keras.common import open_shape, policy
from bnspec.backends.tensorflow.harness.writer import TensorflowWriter
from bnspec.contract import LayerConfig
from bnspec.model.call import Call
from bnspec.model.case import PARAMETERS, Case, Step

#: The layer's names for parameters and statistics.
NAMES = {"gamma": "gamma", "beta": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def built(
    config: LayerConfig,
    keras: str = "keras",
    values: Mapping[str, str] = MappingProxyType({}),
    more: Sequence[str] = (),
) -> Lines:
    """The lines that build a ``keras.layers.BatchNormalization``.

    values: of arrays that are constant, by initializers. more: further options.
    """
    options = [*more, f"axis={config.channel_axis}", f"momentum={config.decay!r}", f"epsilon={config.epsilon!r}"]
    if not config.affine:
        options += ["center=False", "scale=False"]
    options += [f"{NAMES[n]}_initializer={keras}.initializers.Constant({value})" for n, value in values.items()]
    return [
        f'layer = {keras}.layers.BatchNormalization({", ".join(options)}, dtype="{policy(config)}")',
        f"layer.build({open_shape(config)})",
    ]


def scaler(case: Case) -> Lines:
    """A ``keras.layers.Normalization``, where it is asked before a fit, which builds it."""
    options = f'axis={case.config.channel_axis}, dtype="{policy(case.config)}"'
    return [] if case.steps[0].call.kind == "fit" else [f"layer = keras.layers.Normalization({options})"]


def scaled(config: LayerConfig, call: Call, y: str, given: Sequence[str]) -> list[str]:
    """The lines of one call of a ``keras.layers.Normalization``, which is adapted to a list of batches."""
    options = f'axis={config.channel_axis}, dtype="{policy(config)}"'
    if call.kind == "fit":
        return [f"layer = keras.layers.Normalization({options})", f"layer.adapt([{', '.join(given)}])"]
    if call.kind == "transform":
        return [f"{y} = layer({given[0]})"]
    return [
        "mean, variance = layer.get_weights()[:2]",
        f"{y} = keras.layers.Normalization(mean=mean, variance=variance, invert=True, {options})({given[0]})",
    ]


def operated(writer: Writer, step: Step, keras: str) -> Lines:
    """Lines of what is done with a Keras layer between its calls. Raises NoScript: what Keras does not have."""
    config = writer.config
    model = (
        f'model = {keras}.Sequential([{keras}.Input(batch_shape={open_shape(config)}, dtype="{config.dtype}"), layer])'
    )
    match step.call.kind:
        case "save_restore":
            writer.extra.append("tempfile")
            path = 'path = tempfile.mkdtemp() + "/layer.keras"'
            return [model, path, "model.save(path)", f"layer = {keras}.models.load_model(path).layers[-1]"]
        case "clone":
            return [
                model,
                f"clone = {keras}.models.clone_model(model)",
                "clone.set_weights(model.get_weights())",
                "layer, other = clone.layers[-1], layer",
            ]
        case "swap":
            return ["layer, other = other, layer"]
        case "set_decay":
            return [f"layer.momentum = {step.option('decay')!r}", *writer.with_decay(step)]
        case "freeze" | "unfreeze":
            writer.frozen = step.call.kind == "freeze"
            return [f"layer.trainable = {not writer.frozen}"]
    raise NoScript(f"Keras has no call for {step.call}")


def without_channels(config: LayerConfig) -> str:
    """The index that takes a mask's channel axis away."""
    return ", ".join([":"] * config.channel_axis + ["0"])


class StatefulKeras(Writer):
    """What is the same for a Keras layer that holds its own state, on whatever tensors."""

    makes_initial = True
    keras = "keras"  # how a script names it
    options: tuple[str, ...] = ()  # of the layer, beside those that every layer has

    def build(self) -> Lines:
        """The layer with its weights set."""
        if self.case.subject == "input_norm":
            return scaler(self.case)
        if self.initial:
            return built(self.config, self.keras, more=self.options)
        arrays = {n: self.case.arrays[n] for n in PARAMETERS if n in self.case.arrays}
        if self.compact and all(len(set(a.tolist())) == 1 for a in arrays.values()):
            return built(self.config, self.keras, {n: number(a[0]) for n, a in arrays.items()}, self.options)
        return [*built(self.config, self.keras, more=self.options), *self.restart()]

    def restart(self) -> Lines:
        """gamma, beta, moving_mean and moving_variance."""
        if self.case.subject == "input_norm":
            return []
        names = [n for n in PARAMETERS if n in self.case.arrays]
        return [f"layer.set_weights([{', '.join(self.array(n) for n in names)}])"]

    def between(self, step: Step) -> Lines:
        """Models saved, loaded and cloned; ``trainable`` and the layer's momentum. Raises NoScript: what Keras does not have."""
        return operated(self, step, self.keras)

    def variable(self, name: str) -> str:
        """The layer's weights."""
        return {
            "gamma": "layer.gamma.value",
            "beta": "layer.beta.value",
            "running_mean": "layer.moving_mean.value",
            "running_var": "layer.moving_variance.value",
            "mean": "layer.weights[0].value",
            "var": "layer.weights[1].value",
        }.get(name, name)


class KerasWriter(StatefulKeras, TensorflowWriter):
    """The Keras layers, eager."""

    packages = ("keras", "tensorflow")
    imports: tuple[str, ...] = ("import keras", "import tensorflow as tf")
    environment = "KERAS_BACKEND=tensorflow CUDA_VISIBLE_DEVICES="
    differentiated = ()

    def __init__(self, case: Case, device: str, wanted: str, compact: bool = False) -> None:
        """A script that has to be short reaches Keras through TensorFlow."""
        super().__init__(case, device, wanted, compact)
        if compact and case.subject == "batch_norm":
            self.keras, self.imports = "tf.keras", TensorflowWriter.imports

    def forward(self, x: str, y: str, training: bool) -> Lines:
        """The layer's call."""
        return [f"{y} = layer({x}, training={training})"]

    def leaves(self) -> Sequence[str]:
        """The layer's trainable weights."""
        return ["layer.gamma.value", "layer.beta.value"] if self.config.affine and not self.frozen else []

    def masked(self, step: Step, y: str) -> Lines:
        """The layer's call with a mask, which Keras takes without the channel axis."""
        x, mask = self.given(step.inputs[0]), self.given(step.inputs[-1])
        forward = [f"{y} = layer({x}, training=True, mask={mask}[{without_channels(self.config)}])"]
        return self.taped(step, y, forward) if step.call.has_gradients else forward

    def call(self, step: Step, y: str) -> Lines:
        """A layer's call, or one of a scaler's."""
        if self.case.subject != "input_norm":
            return super().call(step, y)
        given = [self.given(n) for n in step.inputs]
        lines = scaled(self.config, step.call, y, given)
        if step.call.kind == "fit":
            first, *others = (f"tf.data.Dataset.from_tensors({g})" for g in given)
            lines[-1] = f"layer.adapt({first}{''.join(f'.concatenate({o})' for o in others)})"
        return lines


class RematWriter(KerasWriter):
    """The layer under ``keras.remat``."""

    def forward(self, x: str, y: str, training: bool) -> Lines:
        """The layer's call, of which nothing is kept for the backward pass."""
        return [f"{y} = {self.keras}.remat(lambda x: layer(x, training={training}))({x})"]

    def wants_gradient(self) -> bool:
        """Always: the backward pass is a second step."""
        return True
