"""Which class writes the repro scripts of the OpenVINO backends."""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.backends.harness.scripts.literals import string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.harness.scripts.writer import Writer
from bnspec.backends.onnx.harness.constants_writer import ConstantsWriter


class OpenVinoFoldedWriter(ConstantsWriter):
    """A convolution and the node, read by OpenVINO's frontend for ONNX."""

    packages = ("openvino", "onnx")
    imports = ("import onnx.parser", "import openvino")
    before = "Conv"

    def models(self) -> Lines:
        """The model, read and compiled in float32."""
        return [
            f"model = onnx.parser.parse_model({string(self.model('inference'))})",
            "read = openvino.Core().read_model(model.SerializeToString())",
            'inference = openvino.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})',
        ]

    def inferred(self, x: str) -> str:
        """The compiled model's y."""
        return f"inference([{x}])[0]"


class OpenVinoFoldedTransposedWriter(OpenVinoFoldedWriter):
    """After a transposed convolution."""

    before = "ConvTranspose"


WRITERS: Mapping[str, type[Writer]] = {
    "openvino.folded": OpenVinoFoldedWriter,
    "openvino.folded.transposed": OpenVinoFoldedTransposedWriter,
}
