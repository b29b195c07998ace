"""Scripts of ONNX models of one MeanVarianceNormalization node in ONNX Runtime."""

from __future__ import annotations

from bnspec.backends.onnx.harness.mean_variance_writer import MeanVarianceWriter
from bnspec.backends.onnxruntime.harness.writer import SessionWriter


class SessionMeanVarianceWriter(MeanVarianceWriter):
    """The model as a session of the execution provider for CPUs."""

    packages = SessionWriter.packages
    imports = SessionWriter.imports

    def runner(self, text: str) -> str:
        """An InferenceSession of the model's bytes."""
        return f'InferenceSession(onnx.parser.parse_model({text}).SerializeToString(), providers=["CPUExecutionProvider"]).run'
