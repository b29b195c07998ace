"""Scripts of ONNX models that MNN's converter makes MNN models of."""

from __future__ import annotations

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.harness.constants_writer import ConstantsWriter
from bnspec.model.case import Step


class ConvertedWriter(ConstantsWriter):
    """The node, converted and loaded."""

    packages = ("MNN", "onnx")
    #: ``MNN.tools.mnnconvert`` is two lines over ``_tools``, and installs another package when it is imported.
    imports = ("import onnx.parser", "import _tools", "import MNN", "import MNN.expr", "import MNN.nn")

    def models(self) -> Lines:
        """The model, converted and loaded."""
        options = '"-f", "ONNX", "--modelFile", "layer.onnx", "--MNNModel", "layer.mnn", "--bizCode", "layer"'
        return [
            f'onnx.save(onnx.parser.parse_model({string(self.model("inference"))}), "layer.onnx")',
            f'_tools.mnnconvert(["mnnconvert", {options}])',
            'module = MNN.nn.load_module_from_file("layer.mnn", ["x"], ["y"])',
        ]

    def call(self, step: Step, y: str) -> Lines:
        """The module's call. Raises NoScript: it has no backward pass."""
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients: the module is for inference")
        x = self.given(step.inputs[0])
        given = f"MNN.expr.const(np.ascontiguousarray({x}), list({x}.shape), MNN.expr.NCHW)"
        return [
            f"made = MNN.expr.convert(module.forward([{given}])[0], MNN.expr.NCHW)",
            f"{y} = np.array(made.read()).reshape({x}.shape)",
        ]


class FoldedWriter(ConvertedWriter):
    """A convolution and the node, of which the converter makes one convolution."""

    before = "Conv"


class FoldedTransposedWriter(ConvertedWriter):
    """A transposed convolution and the node."""

    before = "ConvTranspose"
