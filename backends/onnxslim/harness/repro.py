"""Which class writes the repro scripts of the OnnxSlim backends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnspec.backends.harness.scripts.literals import string
from bnspec.backends.harness.scripts.rows import joined
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnx.harness.training_output_writer import CONSTANTS, EPSILON, TrainingOutputWriter
from bnspec.backends.onnx.harness.writer import TYPES
from bnspec.backends.onnxruntime.harness.folded_writer import FoldedSessionWriter


class SlimWriter(FoldedSessionWriter):
    """A convolution and the node, of which OnnxSlim makes one."""

    packages = ("onnxslim", *FoldedSessionWriter.packages)
    imports = ("import onnxslim", *FoldedSessionWriter.imports)
    tool = "onnxslim.slim(model)"


class SlimTransposedWriter(SlimWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"


class SlimTrainingWriter(TrainingOutputWriter):
    """A training node of a table that is a constant, made smaller, in ONNX Runtime."""

    packages = ("onnxslim", "onnxruntime", "onnx")
    imports = ("import onnx.parser", "import onnxslim", "from onnxruntime import InferenceSession")

    def fitted(self, tables: Sequence[str]) -> Lines:
        """The model of the training set, and the smaller one's session."""
        kind, channels = TYPES[self.config.dtype], self.config.channels
        constants = ", ".join(
            f"{kind}[{channels}] {name} = {{{', '.join([repr(value)] * channels)}}}" for name, value in CONSTANTS
        )
        node = f"BatchNormalization <epsilon = {EPSILON!r}, training_mode = 1> (table, scale, bias, mean, var)"
        results = f"{kind}[n,{channels}] y, {kind}[{channels}] new_mean, {kind}[{channels}] new_var"
        header = '<ir_version: 8, opset_import: ["" : 15]>'
        body = f"z, new_mean, new_var = {node} y = Add (z, zeros)"
        text = f"{header} layer ({kind}[n,{channels}] zeros) => ({results}) <{constants}> {{ {body} }}"
        return [
            f"table = {joined(tables)}",
            f"model = onnx.parser.parse_model({string(text)})",
            'model.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))',
            "model = onnxslim.slim(model).SerializeToString()",
            'session = InferenceSession(model, providers=["CPUExecutionProvider"])',
        ]

    def applied(self, kind: str, table: str) -> str:
        """The sum with zeros."""
        return f'session.run(["y"], {{"zeros": np.zeros_like({table})}})[0]'


WRITERS: Mapping[str, type[Writer]] = {
    "onnxslim.folded": SlimWriter,
    "onnxslim.folded.transposed": SlimTransposedWriter,
    "onnxslim.training": SlimTrainingWriter,
}
