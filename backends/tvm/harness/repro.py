"""Which class writes the repro scripts of each TVM backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.tvm.harness.writer import (
    DecomposedWriter,
    FoldedTrainingWriter,
    FoldedWriter,
    ImportedWriter,
    OperatorWriter,
)

WRITERS: Mapping[str, type[Writer]] = {
    "tvm": OperatorWriter,
    "tvm.decomposed": DecomposedWriter,
    "tvm.folded": FoldedWriter,
    "tvm.folded.training": FoldedTrainingWriter,
    "tvm.onnx": ImportedWriter,
}
