"""Which class writes the repro scripts of the ONNX Simplifier backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnxruntime.harness.folded_writer import FoldedSessionWriter


class SimWriter(FoldedSessionWriter):
    """A convolution and the node, of which ONNX Simplifier makes one."""

    packages = ("onnxsim", *FoldedSessionWriter.packages)
    imports = ("import onnxsim", *FoldedSessionWriter.imports)
    tool = "onnxsim.simplify(model)[0]"


class SimTransposedWriter(SimWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"


WRITERS: Mapping[str, type[Writer]] = {
    "onnxsim.folded": SimWriter,
    "onnxsim.folded.transposed": SimTransposedWriter,
}
