"""Scripts with Keras' BatchNormalization, converted and run by LiteRT's interpreter."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.model.case import Step


class ConvertedWriter(Writer):
    """One model, and its interpreter as a signature runner, which takes x of any extents."""

    packages = ("ai_edge_litert", "tensorflow", "keras")
    imports = ("import keras", "import tensorflow as tf", "from ai_edge_litert.interpreter import Interpreter")
    environment = "KERAS_BACKEND=tensorflow"
    differentiates = False

    def tensor(self, value: Literal) -> str:
        """A packed NumPy array."""
        text = numpy_expression(value, f'"{value.dtype}"')
        return f"np.ascontiguousarray({text})" if value.permuted or value.flipped or value.strided else text

    def build(self) -> Lines:
        """The model and its runner. Raises NoScript: a scaler is asked for, or channels on the batch axis."""
        config = self.config
        if self.case.subject != "batch_norm" or config.channel_axis == 0:
            raise NoScript("no lines are written here for this layer")
        extents = tuple(config.channels if a == config.channel_axis else None for a in range(1, config.rank))
        options = f"axis={config.channel_axis}, epsilon={config.epsilon!r}"
        if not config.affine:
            options += ", center=False, scale=False"
        names = (*(("gamma", "beta") if config.affine else ()), "running_mean", "running_var")
        return [
            f"layer, given = keras.layers.BatchNormalization({options}), keras.Input({extents})",
            "model = keras.Model(given, layer(given))",
            f"layer.set_weights([{', '.join(self.array(n) for n in names)}])",
            "made = tf.lite.TFLiteConverter.from_keras_model(model).convert()",
            "runner = Interpreter(model_content=made).get_signature_runner()",
        ]

    def restart(self) -> Lines:
        """Nothing: no call changes the model."""
        return []

    def call(self, step: Step, y: str) -> Lines:
        """One call. Raises NoScript: it trains."""
        if step.call.mode != "inference":
            raise NoScript("LiteRT does not train this layer")
        given = f"{{next(iter(runner.get_input_details())): {self.given(step.inputs[0])}}}"
        return [f"({y},) = runner(**{given}).values()"]

    def variable(self, name: str) -> str:
        """What was given."""
        return name if name in ("dx", "dgamma", "dbeta") else self.array(name)
