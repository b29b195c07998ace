"""ONNX models that MNN's converter made MNN models of, run on the CPU. Inference only.

    mnn.converted           the node BatchNormalization
    mnn.converted.inputs    the same with its parameters and statistics as inputs of the model, too
    mnn.converted.constant  the same of an x that is a constant of the model, too
    mnn.converted.output    a training node whose other outputs are left out, of tables
    mnn.folded              a convolution and the node after it, of which the converter makes one convolution
    mnn.folded.transposed   after a transposed convolution

Source: https://mnn-docs.readthedocs.io/en/latest/tools/convert.html
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from typing import Any, Dict, Tuple

import numpy as np

from bnspec.backends.onnx.common import CONVENTIONS, INPUTS, OnnxAdapter, Session, model_of
from bnspec.backends.onnx.folded import FoldedAdapter
from bnspec.backends.onnx.training_output import TrainingOutput
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Adapter, Declined, LayerConfig, State


class Converting(Adapter):
    """MNN before an adapter of models, which imports onnx."""

    framework = "MNN"
    onnx: Any

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import _tools  # MNN's; MNN.tools.mnnconvert is two lines over it, but installs another package when it is imported
        import MNN
        import MNN.expr
        import MNN.nn

        self.mnn, self.converter = MNN, _tools

    def versions(self) -> Dict[str, str]:
        """Versions of MNN and of onnx."""
        return {"MNN": str(self.mnn.version()), "onnx": str(self.onnx.__version__)}

    def session(self, model: Any) -> Session:
        """The module of the converted model."""
        with tempfile.TemporaryDirectory() as folder:
            path, made = (os.path.join(folder, "layer" + ending) for ending in (".onnx", ".mnn"))
            self.onnx.save(model, path)
            options = ("-f", "ONNX", "--modelFile", path, "--MNNModel", made, "--bizCode", "layer")
            here = os.getcwd()
            os.chdir(folder)  # it writes a file of its own beside, too
            try:
                self.converter.mnnconvert(["mnnconvert", *options])
            finally:
                os.chdir(here)
            names = [given.name for given in model.graph.input]
            module = self.mnn.nn.load_module_from_file(made, names, ["y"])
        expr = self.mnn.expr

        def run(inputs: Any) -> Any:
            arrays = [np.ascontiguousarray(inputs[name]) for name in names]
            (y,) = module.forward([expr.const(a, list(a.shape), expr.NCHW) for a in arrays])
            return (np.array(expr.convert(y, expr.NCHW).read()).reshape(inputs["x"].shape),)

        return run


class MnnConverted(Converting, OnnxAdapter):
    """Models of one node whose other inputs are constants."""

    opset = 15
    conventions = dataclasses.replace(CONVENTIONS, dtypes=("float32",))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ModelLayer:
        """The converted model."""
        model = model_of(self.onnx, self.opset, config, "inference")
        for name, array in zip(INPUTS[1:], (gamma, beta, running_mean, running_var)):
            model.graph.initializer.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        del model.graph.input[1:]
        return ModelLayer(self.session(model), State(running_mean, running_var))


class ModelLayer(InferenceOnly):
    """One converted model."""

    def __init__(self, session: Session, running: State) -> None:
        self.session, self.running = session, running

    def inference(self, x: Any) -> Any:
        """The model's y."""
        return self.session({"x": x})[0]

    def state(self) -> State:
        """What was given."""
        return self.running


class MnnInputs(Converting, OnnxAdapter):
    """Models of one node whose inputs are those of the model."""

    opset = 15
    conventions = MnnConverted.conventions

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> InputsLayer:
        """The arrays that the node takes beside x."""
        return InputsLayer(self, config, (gamma, beta, running_mean, running_var))


class InputsLayer(InferenceOnly):
    """The arrays of one node."""

    def __init__(self, owner: MnnInputs, config: LayerConfig, arrays: Tuple[Any, ...]) -> None:
        self.owner, self.config, self.arrays = owner, config, arrays

    def inference(self, x: Any) -> Any:
        """The model's y."""
        return self.owner.compiled(self.config, "inference")(dict(zip(INPUTS, (x, *self.arrays))))[0]

    def state(self) -> State:
        """What was given."""
        return State(*self.arrays[2:])


class MnnConstant(Converting, OnnxAdapter):
    """Models of constants alone, with a sum of zeros and the node's result behind it, as a model has an input."""

    opset = 15
    conventions = MnnConverted.conventions

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ConstantLayer:
        """The constants of the model, which is made when the layer is called."""
        return ConstantLayer(self, config, (gamma, beta, running_mean, running_var))


class ConstantLayer(InferenceOnly):
    """One model for each x."""

    def __init__(self, owner: MnnConstant, config: LayerConfig, constants: Tuple[Any, ...]) -> None:
        self.owner, self.config, self.constants = owner, config, constants

    def inference(self, x: Any) -> Any:
        """The model's y of zeros. Raises Declined: x has no values."""
        if not x.size:
            raise Declined("a constant has values")
        onnx = self.owner.onnx
        model = model_of(onnx, self.owner.opset, self.config, "inference")
        for name, array in zip(("constant", *INPUTS[1:]), (x, *self.constants)):
            model.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        del model.graph.input[1:]
        node = model.graph.node[0]
        node.input[0], node.output[0] = "constant", "z"
        model.graph.node.append(onnx.helper.make_node("Add", ["x", "z"], ["y"]))
        onnx.checker.check_model(model)
        return self.owner.session(model)({"x": np.zeros_like(x)})[0]

    def state(self) -> State:
        """What was given."""
        return State(*self.constants[2:])


class MnnOutput(Converting, TrainingOutput):
    """A training node, for its y alone."""


class MnnFolded(Converting, FoldedAdapter):
    """Models of a convolution and the node; ``MNN.expr.const`` takes no arrays in half precision."""

    conventions = dataclasses.replace(FoldedAdapter.conventions, dtypes=("float32",))


class MnnFoldedTransposed(MnnFolded):
    """After a transposed convolution."""

    transposed = True
