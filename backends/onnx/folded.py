"""Shared by the backends that fold BatchNormalization into the convolution before it: models of both nodes, and the layer around them.

The parameters and statistics are constants of the model, so whoever loads it may fold them; see ``worker.folding``.

Source: https://onnx.ai/onnx/operators/onnx__Conv.html and https://onnx.ai/onnx/operators/onnx__ConvTranspose.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Tuple

import numpy as np

from bnspec.backends.onnx.common import CONVENTIONS, INPUTS, IR_VERSIONS, OnnxAdapter, Session, kind_of
from bnspec.backends.worker.folding import input_of, mixing, pairs
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import LayerConfig, State

#: What all of them compute in: a folded scale has x's dtype, as the weights of a convolution have.
FOLDED = dataclasses.replace(
    CONVENTIONS,
    dtypes=("float32", "float16"),
    half_parameters=("float32", "input"),
    half_arithmetic="input",
    ranks=(3, 4, 5),
)


class FoldedAdapter(OnnxAdapter):
    """Models of a convolution and the node. Subclasses define ``session``."""

    opset = 15
    conventions = FOLDED
    #: Whether the convolution is transposed.
    transposed = False

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> FoldedLayer:
        """The constants of the model, which is made when the layer is called."""
        return FoldedLayer(self, config, (gamma, beta), State(running_mean, running_var))


class FoldedLayer(InferenceOnly):
    """One model of a convolution and the node."""

    def __init__(self, owner: FoldedAdapter, config: LayerConfig, parameters: Tuple[Any, Any], running: State) -> None:
        self.owner, self.config, self.parameters, self.running = owner, config, parameters, running
        self.session: Optional[Session] = None

    def inference(self, x: Any) -> Any:
        """The model's y of the input of which the convolution makes x."""
        given = input_of(x, pairs(self.config.channels))
        if self.session is None:
            model = folded_model(self.owner.onnx, self.config, self.parameters, self.running, self.owner.transposed)
            self.session = self.owner.session(model)
        return self.session({"x": given})[0]

    def state(self) -> State:
        """The statistics that were given."""
        return self.running


def folded_model(onnx: Any, config: LayerConfig, parameters: Tuple[Any, Any], running: State, transposed: bool) -> Any:
    """The ModelProto; all but x are constants."""
    helper, channels = onnx.helper, config.channels
    groups, spatial = pairs(channels), config.rank - 2
    sources, signs = mixing(channels, groups)
    size, mean = channels // groups, np.ascontiguousarray(running.running_mean)
    with np.errstate(all="ignore"):
        bias = mean.astype(config.dtype)
        bias[~np.isfinite(2 * bias)] = 0
    weight = np.zeros((channels, size, *[1] * spatial), config.dtype)
    outputs = np.arange(channels)
    rows, columns = (sources, outputs) if transposed else (outputs, sources)
    weight[rows, columns % size] = signs.reshape(-1, *[1] * spatial)
    constants = (weight, bias, *parameters, mean + bias, running.running_var)
    names = ("weight", "bias_before", *INPUTS[1:])
    initializers = [onnx.numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in zip(names, constants)]
    shape = ["n%d" % axis if axis != 1 else channels for axis in range(config.rank)]
    kind = kind_of(onnx, config.dtype)
    x, y = (helper.make_tensor_value_info(n, kind, shape) for n in ("x", "y"))
    operation = "ConvTranspose" if transposed else "Conv"
    nodes = [
        helper.make_node(operation, ["x", *names[:2]], ["z"], group=groups, kernel_shape=[1] * spatial),
        helper.make_node("BatchNormalization", ["z", *names[2:]], ["y"], epsilon=config.epsilon),
    ]
    graph = helper.make_graph(nodes, "layers", [x], [y], initializers)
    opset = FoldedAdapter.opset
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSIONS[opset])
    onnx.checker.check_model(model)
    return model
