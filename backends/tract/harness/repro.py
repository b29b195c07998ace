"""Which class writes the repro scripts of the tract backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnx.harness.constants_writer import ConstantsWriter
from bnspec.backends.onnx.harness.training_output_writer import TrainingOutputWriter


class TractOutputWriter(TrainingOutputWriter):
    """The node in a model that tract loads from a file."""

    packages = ("tract", "onnx")
    imports = ("import onnx.parser", "import tract")

    def runs(self, text: str) -> Lines:
        """The model, saved and loaded."""
        return [
            f'onnx.save(onnx.parser.parse_model({text}), "layer.onnx")',
            'model = tract.onnx().load("layer.onnx").into_model().into_runnable()',
        ]

    def applied(self, kind: str, table: str) -> str:
        """The node's y. Raises NoScript: the node has no inverse."""
        if kind == "inverse":
            raise NoScript("no lines are written here for an inverse, which the node does not have")
        return f"model.run([{table}])[0].to_numpy()"


class TractFoldedWriter(ConstantsWriter):
    """A convolution and the node in a model that tract loads from a file."""

    packages = TractOutputWriter.packages
    imports = TractOutputWriter.imports
    before = "Conv"

    def models(self) -> Lines:
        """The model, saved and loaded."""
        return [
            f'onnx.save(onnx.parser.parse_model({string(self.model("inference"))}), "layer.onnx")',
            'model = tract.onnx().load("layer.onnx").into_model().into_runnable()',
        ]

    def inferred(self, x: str) -> str:
        """The model's y."""
        return f"model.run([{x}])[0].to_numpy()"


class TractFoldedTransposedWriter(TractFoldedWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"


WRITERS: Mapping[str, type[Writer]] = {
    "tract.opset15.output": TractOutputWriter,
    "tract.folded": TractFoldedWriter,
    "tract.folded.transposed": TractFoldedTransposedWriter,
}
