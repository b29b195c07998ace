"""Scripts of ONNX models of one BatchNormalization node in ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.writer import FIVE, TYPES, NodeWriter
from bnspec.model.call import Mode
from bnspec.model.case import Step


class SessionWriter(NodeWriter):
    """The models as sessions of the execution provider for CPUs."""

    packages = ("onnxruntime", "onnx")
    imports = ("import onnx.parser", "from onnxruntime import InferenceSession")

    def runner(self, text: str) -> str:
        """An InferenceSession of the model's bytes."""
        return f'InferenceSession(onnx.parser.parse_model({text}).SerializeToString(), providers=["CPUExecutionProvider"]).run'

    def use_threads(self, count: int) -> Lines:
        """Raises NoScript."""
        raise NoScript("sessions with a number of threads of their own are not written here")


class Opset9SessionWriter(SessionWriter):
    """Opset 9."""

    opset, made = 9, FIVE


class OutputWriter(SessionWriter):
    """A training node whose outputs beside y are left out."""

    def model(self, mode: Mode) -> str:
        """The model in ONNX's text form, in which an output without a name is left out."""
        kind, channels = TYPES[self.config.parameter_dtype], self.config.channels
        others = "".join(f", {kind}[{channels}] {name}" for name in ("new_mean", "new_var"))
        return super().model(mode).replace(others, "").replace("y, new_mean, new_var =", "y, , , =")

    def call(self, step: Step, y: str) -> Lines:
        """The model of the mode; the statistics stay as they are."""
        return [
            line.replace(f"{y}, mean, var =", f"({y},) =") for line in super().call(step, y) if isinstance(line, str)
        ]


class Opset14SessionWriter(SessionWriter):
    """Opset 14."""

    opset = 14
