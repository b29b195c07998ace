"""Scripts in Keras: ``keras.layers.Normalization``, adapted to one tensor or one NumPy array."""

from __future__ import annotations

from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.keras.harness.other_backends_writer import KerasJaxWriter, KerasTorchWriter
from bnspec.backends.keras.harness.writer import KerasWriter
from bnspec.model.case import Step


class WholeWriter(Writer):
    """Before a writer that adapts the layer to batches: the same, adapted to all of them at once."""

    def call(self, step: Step, y: str) -> Lines:
        """One of a scaler's calls."""
        lines = list(super().call(step, y))
        if step.call.kind == "fit":
            given = [self.given(n) for n in step.inputs]
            whole = given[0] if len(given) == 1 else f"keras.ops.concatenate([{', '.join(given)}])"
            lines[-1] = f"layer.adapt({self.data(whole)})"
        return lines

    def data(self, whole: str) -> str:
        """The training set as it is given to ``adapt``."""
        return whole


class TensorWriter(WholeWriter, KerasWriter):
    """One tensor of TensorFlow."""


class ArrayWriter(WholeWriter, KerasWriter):
    """One NumPy array."""

    def data(self, whole: str) -> str:
        """The tensor's array."""
        return f"{whole}.numpy()"


class TorchTensorWriter(WholeWriter, KerasTorchWriter):
    """One tensor of PyTorch."""


class JaxTensorWriter(WholeWriter, KerasJaxWriter):
    """One array of JAX."""
