"""Which class writes the repro scripts of the ONNX Script backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnxruntime.harness.folded_writer import FoldedSessionWriter


class ScriptWriter(FoldedSessionWriter):
    """A convolution and the node, of which ONNX Script makes one."""

    packages = ("onnxscript", *FoldedSessionWriter.packages)
    imports = ("from onnxscript import rewriter", *FoldedSessionWriter.imports)
    tool = "rewriter.rewrite(model)"


class ScriptTransposedWriter(ScriptWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"


WRITERS: Mapping[str, type[Writer]] = {
    "onnxscript.folded": ScriptWriter,
    "onnxscript.folded.transposed": ScriptTransposedWriter,
}
