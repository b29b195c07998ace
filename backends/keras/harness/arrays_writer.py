"""Scripts in Keras on its NumPy backend, and of ``keras.ops`` on NumPy."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import Literal, NoScript, numpy_expression
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.keras.harness.ops_writer import OpsWriter
from bnspec.backends.keras.harness.writer import StatefulKeras, scaled, without_channels
from bnspec.model.case import Step


class ArraysWriter(Writer):
    """NumPy arrays as tensors, and no derivatives."""

    packages: tuple[str, ...] = ("keras",)
    imports: tuple[str, ...] = ("import keras",)
    environment = "KERAS_BACKEND=numpy"
    differentiates = False

    def tensor(self, value: Literal) -> str:
        """``np.array([...], "float32")``."""
        dtype = "ml_dtypes.bfloat16" if value.dtype == "bfloat16" else f'"{value.dtype}"'
        if value.dtype == "bfloat16" and "import ml_dtypes" not in self.imports:
            self.imports = (*self.imports, "import ml_dtypes")
        return numpy_expression(value, dtype)


class KerasNumpyWriter(StatefulKeras, ArraysWriter):
    """The Keras layers."""

    def call(self, step: Step, y: str) -> Lines:
        """A layer's call, or one of a scaler's. Raises NoScript: gradients."""
        given = [self.given(n) for n in step.inputs]
        if self.case.subject == "input_norm":
            return scaled(self.config, step.call, y, given)
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients: the backend has none")
        training = step.call.mode == "training"
        return [f"{y} = {self.read(f'layer({given[0]}, training={training})')}"]

    def masked(self, step: Step, y: str) -> Lines:
        """The layer's call with a mask, which Keras takes without the channel axis."""
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients: the backend has none")
        x, mask = (self.given(n) for n in step.inputs)
        index = without_channels(self.config)
        return [f"{y} = {self.read(f'layer({x}, training=True, mask={mask}[{index}])')}"]

    def read(self, result: str) -> str:
        """The expression of a result as an array."""
        return result


class KerasOpsNumpyWriter(OpsWriter, ArraysWriter):
    """``keras.ops`` on NumPy."""
