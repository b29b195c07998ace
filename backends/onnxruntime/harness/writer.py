"""Scripts of ONNX models of one BatchNormalization node in ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.writer import NodeWriter


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
    """Opset 9: inference alone."""

    opset = 9


class Opset14SessionWriter(SessionWriter):
    """Opset 14."""

    opset = 14
