"""Which class writes the repro scripts of the tract backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.literals import NoScript
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
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


WRITERS: Mapping[str, type[Writer]] = {"tract.opset15.output": TractOutputWriter}
