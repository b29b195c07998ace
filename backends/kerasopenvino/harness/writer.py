"""Scripts in Keras on its OpenVINO backend; tensors are NumPy arrays, and what is computed is read at once."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.keras.harness.arrays_writer import KerasNumpyWriter
from bnspec.model.case import Step


class KerasOpenvinoWriter(KerasNumpyWriter):
    """The layers on OpenVINO, which computes when a result is read."""

    packages = ("keras", "openvino")
    environment = "KERAS_BACKEND=openvino"

    def read(self, result: str) -> str:
        """The result, read."""
        return f"keras.ops.convert_to_numpy({result})"

    def call(self, step: Step, y: str) -> Lines:
        """A call. Raises NoScript: a training pass, which the backend does not have."""
        if step.call.mode == "training":
            raise NoScript("no lines are written here for training: the backend is for inference")
        lines = super().call(step, y)
        if self.case.subject == "input_norm" and step.call.kind != "fit":
            return [*lines[:-1], f"{y} = {self.read(str(lines[-1]).removeprefix(f'{y} = '))}"]
        return lines

    def host(self, expression: str) -> str:
        """A result as a NumPy array."""
        return f"np.asarray({expression})" if expression.startswith("y") else self.read(expression)

    def element(self, expression: str, index: str) -> str:
        """One element of a result as a Python number."""
        return f"float({self.host(expression)}[{index}])"
