"""Scripts of ONNX models that MNN's converter makes MNN models of."""

from __future__ import annotations

from collections.abc import Sequence

from bnspec.backends.harness.scripts.literals import NoScript, string
from bnspec.backends.harness.scripts.statements import Lines
from bnspec.backends.onnx.common import INPUTS
from bnspec.backends.onnx.harness.constants_writer import ConstantsWriter
from bnspec.backends.onnx.harness.training_output_writer import TrainingOutputWriter
from bnspec.backends.onnx.harness.writer import NodeWriter
from bnspec.model.case import Step


def converted(text: str, names: Sequence[str] = ("x",)) -> Lines:
    """Lines that convert and load the model whose text form is this expression, by the names of its inputs."""
    options = '"-f", "ONNX", "--modelFile", "layer.onnx", "--MNNModel", "layer.mnn", "--bizCode", "layer"'
    return [
        f'onnx.save(onnx.parser.parse_model({text}), "layer.onnx")',
        f'_tools.mnnconvert(["mnnconvert", {options}])',
        f'module = MNN.nn.load_module_from_file("layer.mnn", [{", ".join(map(string, names))}], ["y"])',
    ]


class ConvertedWriter(ConstantsWriter):
    """The node, converted and loaded."""

    packages = ("MNN", "onnx")
    #: ``MNN.tools.mnnconvert`` is two lines over ``_tools``, and installs another package when it is imported.
    imports = ("import onnx.parser", "import _tools", "import MNN.expr", "import MNN.nn")

    def models(self) -> Lines:
        """The model, converted and loaded."""
        return converted(string(self.model("inference")))

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


class InputsWriter(ConvertedWriter):
    """The node, whose inputs are those of the model."""

    def models(self) -> Lines:
        """The model, converted and loaded."""
        return converted(string(NodeWriter.model(self, "inference")), INPUTS)

    def call(self, step: Step, y: str) -> Lines:
        """The module's call. Raises NoScript: it has no backward pass."""
        if step.call.has_gradients:
            raise NoScript("no lines are written here for gradients: the module is for inference")
        x = self.given(step.inputs[0])
        others = ", ".join(self.array(name) for name in ("gamma", "beta", "running_mean", "running_var"))
        return [
            f"given = [np.ascontiguousarray(a) for a in ({x}, {others})]",
            "made = module.forward([MNN.expr.const(a, list(a.shape), MNN.expr.NCHW) for a in given])[0]",
            f"{y} = np.array(MNN.expr.convert(made, MNN.expr.NCHW).read()).reshape({x}.shape)",
        ]


class ConstantWriter(ConvertedWriter):
    """The node of an x that is a constant, and a sum with zeros behind it, converted and loaded for each x."""

    def models(self) -> Lines:
        """Nothing: a model is of one x."""
        return []

    def call(self, step: Step, y: str) -> Lines:
        """The converted model's call on zeros. Raises NoScript: it has no backward pass, or x no values."""
        x = self.case.arrays[step.inputs[0]]
        if step.call.has_gradients or not x.size:
            raise NoScript("no lines are written here for gradients, or for a constant without values")
        before, node = self.model("inference").rsplit("> {", 1)
        node = node.replace("y = ", "z = ").replace("(x,", "(constant,").replace(" }", " y = Add (x, z) }")
        text = f"{before}, {self.constant('constant', x)}> {{{node}"
        zeros = f'np.zeros({x.shape}, "{x.dtype.name}")'
        given = f"MNN.expr.const({zeros}, {list(x.shape)}, MNN.expr.NCHW)"
        return [
            *converted(string(text)),
            f"made = MNN.expr.convert(module.forward([{given}])[0], MNN.expr.NCHW)",
            f"{y} = np.array(made.read()).reshape{x.shape}",
        ]


class OutputWriter(TrainingOutputWriter):
    """A training node, for its y alone."""

    packages = ConvertedWriter.packages
    imports = ConvertedWriter.imports

    def runs(self, text: str) -> Lines:
        """The model, converted and loaded."""
        return converted(text)

    def applied(self, kind: str, table: str) -> str:
        """The node's y. Raises NoScript: the node has no inverse."""
        if kind == "inverse":
            raise NoScript("no lines are written here for an inverse, which the node does not have")
        given = f"MNN.expr.const(np.ascontiguousarray({table}), list({table}.shape), MNN.expr.NCHW)"
        return f"np.array(MNN.expr.convert(module.forward([{given}])[0], MNN.expr.NCHW).read()).reshape({table}.shape)"


class FoldedWriter(ConvertedWriter):
    """A convolution and the node, of which the converter makes one convolution."""

    before = "Conv"


class FoldedTransposedWriter(ConvertedWriter):
    """A transposed convolution and the node."""

    before = "ConvTranspose"
