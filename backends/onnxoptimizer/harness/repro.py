"""Which class writes the repro scripts of the ONNX Optimizer backend."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnxruntime.harness.folded_writer import FoldedSessionWriter


class OptimizerWriter(FoldedSessionWriter):
    """A convolution and the node, of which ONNX Optimizer makes one."""

    packages = ("onnxoptimizer", *FoldedSessionWriter.packages)
    imports = ("import onnxoptimizer", *FoldedSessionWriter.imports)
    tool = "onnxoptimizer.optimize(model)"


WRITERS: Mapping[str, type[Writer]] = {
    "onnxoptimizer.folded": OptimizerWriter,
}
