"""Shared by the backends that run ONNX models: models of one BatchNormalization node, and the layer around them.

The node's statistics are inputs, and outputs of its training mode; the caller keeps them. Opset 14 brought an attribute of that mode;
before, a node with five outputs is in training. Opset 15 has parameters and statistics of other dtypes than x. ONNX stores epsilon and
momentum as float32.

Source: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, Callable, Dict, Mapping, Tuple

import numpy as np

from bnspec.backends.worker.forward_only import NO_TRAINING, ForwardOnly
from bnspec.contract import Adapter, Conventions, Declined, Layer, LayerConfig, State
from bnspec.model.call import Mode

#: The oldest file format of each opset: older runtimes do not read newer ones.
IR_VERSIONS = {7: 3, 9: 4, 14: 7, 15: 8}
#: The inputs of the node.
INPUTS = ("x", "scale", "bias", "mean", "var")
#: The first opset with an attribute of the training mode, and the first whose parameters may have another dtype than x.
TRAINS, MIXES = 14, 15

CONVENTIONS = Conventions(
    running_correction=0,
    momentum_weighs="old",
    default_epsilon=1e-5,
    default_decay=0.9,
    epsilon_dtype="float32",
    decay_dtype="float32",
    half_parameters=("input",),
    ranks=(2, 3, 4, 5, 6),
    channel_axes="first",
    layouts="normalised",
    mutable_tensors=False,
    affine_optional=False,
    gradient_modes=(),
)
#: Runs a model: the outputs of the inputs by name.
Session = Callable[[Mapping[str, Any]], Tuple[Any, ...]]


class OnnxAdapter(Adapter):
    """Models of one node. Subclasses define ``opset``, ``conventions`` and ``session``."""

    opset = 0
    #: Whether a node of an opset before 14 is trained, by its number of outputs.
    trains_by_outputs = False

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import onnx
        import onnx.numpy_helper  # releases before 1.14 do not import it themselves

        if onnx.defs.onnx_opset_version() < self.opset:
            raise ImportError("onnx %s has no opset %d" % (onnx.__version__, self.opset))
        self.onnx = onnx
        self.sessions: Dict[Tuple[LayerConfig, Mode], Session] = {}

    @abc.abstractmethod
    def session(self, model: Any) -> Session:
        """What runs this ModelProto."""

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """The arrays that the node takes beside x."""
        if config.dtype != config.parameter_dtype and self.opset < MIXES:
            raise Declined("before opset 15 parameters have x's dtype")
        return OnnxLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def compiled(self, config: LayerConfig, mode: Mode) -> Session:
        """The session of the layer's model in this mode, made once."""
        if (config, mode) not in self.sessions:
            self.sessions[config, mode] = self.session(model_of(self.onnx, self.opset, config, mode))
        return self.sessions[config, mode]


class OnnxLayer(ForwardOnly):
    """The arrays of one BatchNormalization node."""

    def __init__(self, owner: OnnxAdapter, config: LayerConfig, parameters: Tuple[Any, Any], running: State) -> None:
        self.owner, self.config, self.parameters, self.running = owner, config, parameters, running

    def run(self, x: Any, mode: Mode) -> Tuple[Any, ...]:
        """The outputs of the layer's model in this mode."""
        return self.owner.compiled(self.config, mode)(dict(zip(INPUTS, (x, *self.parameters, *self.running))))

    def training(self, x: Any) -> Any:
        """y; the node's other outputs become the statistics."""
        if self.owner.opset < TRAINS and not self.owner.trains_by_outputs:
            raise Declined(NO_TRAINING)
        y, *running = self.run(x, "training")
        self.running = State(*running[:2])
        return y

    def inference(self, x: Any) -> Any:
        """y."""
        return self.run(x, "inference")[0]

    def state(self) -> State:
        """The statistics."""
        return self.running

    def copied(self) -> OnnxLayer:
        """The same arrays, which no call changes."""
        return OnnxLayer(self.owner, self.config, self.parameters, self.running)

    def set_decay(self, decay: float) -> None:
        """A model with another momentum."""
        self.config = dataclasses.replace(self.config, decay=decay)


def model_of(onnx: Any, opset: int, config: LayerConfig, mode: Mode) -> Any:
    """The ModelProto of the layer's node: extents of x are open, but for its channels."""
    helper = onnx.helper
    kinds = [kind_of(onnx, config.dtype)] + [kind_of(onnx, config.parameter_dtype)] * 4
    shape = ["n%d" % axis if axis != 1 else config.channels for axis in range(config.rank)]
    shapes = [shape, *([config.channels],) * 4]
    info = helper.make_tensor_value_info
    inputs = [info(name, kind, extents) for name, kind, extents in zip(INPUTS, kinds, shapes)]
    outputs = [info("y", kinds[0], shape)]
    options: Dict[str, Any] = {"epsilon": config.epsilon, "momentum": config.decay}
    if mode == "training":
        made = ["new_" + name for name in INPUTS[3:]]
        if opset < TRAINS:
            made += ["saved_" + name for name in INPUTS[3:]]
        else:
            options["training_mode"] = 1
        outputs += [info(name, kinds[3], [config.channels]) for name in made]
    node = helper.make_node("BatchNormalization", list(INPUTS), [o.name for o in outputs], **options)
    graph = helper.make_graph([node], "layer", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSIONS[opset])
    onnx.checker.check_model(model)
    return model


def kind_of(onnx: Any, dtype: str) -> int:
    """ONNX's number of a dtype; releases without a function for it have a table."""
    if hasattr(onnx.helper, "np_dtype_to_tensor_dtype"):
        return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    return int(onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[np.dtype(dtype)])
