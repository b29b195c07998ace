"""Which class writes the repro scripts of each ONNX Runtime backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnxruntime.harness.folded_writer import FoldedSessionWriter, FoldedTransposedSessionWriter
from bnspec.backends.onnxruntime.harness.mean_variance_writer import SessionMeanVarianceWriter
from bnspec.backends.onnxruntime.harness.saved_writer import SavedWriter
from bnspec.backends.onnxruntime.harness.writer import (
    Opset9SessionWriter,
    Opset14SessionWriter,
    OutputWriter,
    SessionWriter,
)

WRITERS: Mapping[str, type[Writer]] = {
    "onnxruntime.opset9": Opset9SessionWriter,
    "onnxruntime.opset14": Opset14SessionWriter,
    "onnxruntime.opset15": SessionWriter,
    "onnxruntime.mvn": SessionMeanVarianceWriter,
    "onnxruntime.opset15.output": OutputWriter,
    "onnxruntime.opset9.saved": SavedWriter,
    "onnxruntime.folded": FoldedSessionWriter,
    "onnxruntime.folded.transposed": FoldedTransposedSessionWriter,
}
