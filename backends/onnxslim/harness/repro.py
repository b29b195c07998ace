"""Which class writes the repro scripts of the OnnxSlim backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnxruntime.harness.folded_writer import FoldedSessionWriter


class SlimWriter(FoldedSessionWriter):
    """A convolution and the node, of which OnnxSlim makes one."""

    packages = ("onnxslim", *FoldedSessionWriter.packages)
    imports = ("import onnxslim", *FoldedSessionWriter.imports)
    tool = "onnxslim.slim(model)"


class SlimTransposedWriter(SlimWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"


WRITERS: Mapping[str, type[Writer]] = {
    "onnxslim.folded": SlimWriter,
    "onnxslim.folded.transposed": SlimTransposedWriter,
}
