"""Which class writes the repro scripts of each backend of ONNX's reference evaluator."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnx.harness.mean_variance_writer import MeanVarianceWriter
from bnspec.backends.onnx.harness.writer import NodeWriter, Opset7Writer, Opset9Writer, Opset14Writer

WRITERS: Mapping[str, type[Writer]] = {
    "onnx.opset7": Opset7Writer,
    "onnx.opset9": Opset9Writer,
    "onnx.opset14": Opset14Writer,
    "onnx.opset15": NodeWriter,
    "onnx.mvn": MeanVarianceWriter,
}
