"""Scripts in Keras: ``keras.layers.Normalization``, adapted to one tensor or one NumPy array."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.keras.common import open_shape
from bnspec.backends.keras.harness.other_backends_writer import KerasJaxWriter, KerasTorchWriter
from bnspec.backends.keras.harness.writer import KerasWriter
from bnspec.model.case import Step


class TensorWriter(KerasWriter):
    """One tensor of TensorFlow."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        return whole(self, step, super().call(step, y))


class ArrayWriter(KerasWriter):
    """One NumPy array."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        return whole(self, step, super().call(step, y), ".numpy()")


class CloneWriter(TensorWriter):
    """A clone of the layer, with its weights by ``set_weights``."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        return carried(self, step, super().call(step, y))


class TorchTensorWriter(KerasTorchWriter):
    """One tensor of PyTorch."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        return whole(self, step, super().call(step, y))


class JaxTensorWriter(KerasJaxWriter):
    """One array of JAX."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        return whole(self, step, super().call(step, y))


class JaxCloneWriter(JaxTensorWriter):
    """A clone of the layer, with its weights by ``set_weights``."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        return carried(self, step, super().call(step, y))


def carried(writer: Writer, step: Step, lines: Lines) -> Lines:
    """The lines of a call; after those of a fit the layer is a clone of it, with its weights."""
    if step.call.kind != "fit":
        return lines
    config = writer.config
    given = f'keras.Input(batch_shape={open_shape(config)}, dtype="{config.dtype}")'
    return [
        *lines,
        f"model = keras.Sequential([{given}, layer])",
        "clone = keras.models.clone_model(model)",
        "clone.set_weights(model.get_weights())",
        "layer = clone.layers[-1]",
    ]


def whole(writer: Writer, step: Step, lines: Lines, conversion: str = "") -> Lines:
    """The lines of a call; a fit's last one adapts the layer to all batches at once, after this conversion."""
    if step.call.kind != "fit":
        return lines
    given = [writer.given(n) for n in step.inputs]
    data = given[0] if len(given) == 1 else f"keras.ops.concatenate([{', '.join(given)}])"
    return [*lines[:-1], f"layer.adapt({data}{conversion})"]
