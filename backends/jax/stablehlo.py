"""``jax.stablehlo``: the operations batch_norm_training, batch_norm_inference and batch_norm_grad of StableHLO, compiled by the XLA in
jaxlib from the text of a module, as compilers of other frameworks write it.

The backward pass is batch_norm_training and batch_norm_grad in one module. The moving average is the caller's, who skips an empty
batch. Each shape, dtype and epsilon is a module of its own; its epsilon is a float32 attribute.

Source: https://openxla.org/stablehlo/spec#batch_norm_training
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Dict, Sequence, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.contract import Conventions, Declined, Gradients, Layer, LayerConfig, State

#: StableHLO's names of dtypes.
ELEMENTS = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}
#: Of each main function its arguments, in which x and dy have x's shape, the lines, and the results.
TRAINING = ("x gamma beta", ("training",), "y mean var")
BACKWARD = ("x gamma beta dy", ("training", "grad"), "y mean var dx dgamma dbeta")
INFERENCE = ("x gamma beta mean var", ("inference",), "y")
#: Of each operation its operands and results.
OPERATIONS = {
    "training": ("x gamma beta", "y mean var"),
    "grad": ("x gamma mean var dy", "dx dgamma dbeta"),
    "inference": ("x gamma beta mean var", "y"),
}
Function = Tuple[str, Tuple[str, ...], str]


class JaxStablehlo(JaxAdapter):
    """XLA's CPU compiler, without any of JAX's own operations in the layer."""

    conventions = Conventions(
        running_correction=0,
        momentum_weighs="none",
        epsilon_dtype="float32",
        count_one="biased",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        half_statistics="input",
        half_arithmetic="input",
        ranks=(2, 3, 4, 5, 6),
        layouts="normalised",
        mutable_tensors=False,
        affine_optional=False,
        gradient_modes=("training",),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.client: Any = self.place.client
        self.internal = importlib.import_module("jaxlib._jax")
        self.options: Any = importlib.import_module("jaxlib.xla_client").CompileOptions
        self.compiled: Dict[str, Any] = {}

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> HloLayer:
        """A layer over these arrays."""
        return HloLayer(self, config, gamma, beta, State(running_mean, running_var))

    def run(self, function: Function, config: LayerConfig, arguments: Sequence[Any]) -> Sequence[Any]:
        """The results of a main function."""
        text = module(function, config, tuple(arguments[0].shape))
        if text not in self.compiled:
            devices = self.internal.DeviceList((self.place,))
            self.compiled[text] = self.client.compile_and_load(text.encode(), devices, self.options())
        found = self.compiled[text].execute_sharded(list(arguments)).disassemble_into_single_device_arrays()
        return [shards[0] for shards in found]


class HloLayer(Layer):
    """The caller of the operations, who keeps the statistics."""

    def __init__(self, owner: JaxStablehlo, config: LayerConfig, gamma: Any, beta: Any, running: State) -> None:
        self.owner, self.config, self.running = owner, config, running
        self.parameters = (gamma, beta)

    def training(self, x: Any) -> Any:
        """batch_norm_training; moves the running statistics."""
        y, mean, var = self.owner.run(TRAINING, self.config, (x, *self.parameters))
        self.move(x, mean, var)
        return y

    def inference(self, x: Any) -> Any:
        """batch_norm_inference."""
        return self.owner.run(INFERENCE, self.config, (x, *self.parameters, *self.running))[0]

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """batch_norm_training and batch_norm_grad; moves the running statistics."""
        y, mean, var, *gradients = self.owner.run(BACKWARD, self.config, (x, *self.parameters, dy))
        self.move(x, mean, var)
        return Gradients(y, *gradients)

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("StableHLO has no operation for the gradients of batch_norm_inference")

    def move(self, x: Any, mean: Any, var: Any) -> None:
        """The moving average; the moments of an empty batch are NaN."""
        if x.size:
            decay = self.config.decay
            pairs = zip(self.running, (mean, var))
            self.running = State(*((decay * old + (1.0 - decay) * new).astype(old.dtype) for old, new in pairs))

    def state(self) -> State:
        """The running statistics."""
        return self.running

    def copied(self) -> HloLayer:
        """A layer over the same immutable arrays."""
        return HloLayer(self.owner, self.config, *self.parameters, self.running)

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


def module(function: Function, config: LayerConfig, shape: Tuple[int, ...]) -> str:
    """The text of a module whose main function makes these operations of x of this shape."""
    element = ELEMENTS[config.dtype]
    whole = "tensor<%s>" % "x".join((*map(str, shape), element))
    channel = "tensor<%dx%s>" % (config.channels, element)

    def types(names: str) -> str:
        return ", ".join(whole if name in ("x", "y", "dx", "dy") else channel for name in names.split())

    def values(names: str) -> str:
        return ", ".join("%" + name for name in names.split())

    given, operations, results = function
    arguments = ", ".join("%%%s: %s" % pair for pair in zip(given.split(), types(given).split(", ")))
    attributes = "epsilon = %.9e : f32, feature_index = %d : i64" % (config.epsilon, config.channel_axis)
    lines = ["func.func public @main(%s) -> (%s) {" % (arguments, types(results))]
    for operation in operations:
        operands, made = OPERATIONS[operation]
        line = '  %s = "stablehlo.batch_norm_%s"(%s) {%s} : (%s) -> (%s)'
        lines.append(line % (values(made), operation, values(operands), attributes, types(operands), types(made)))
    lines += ["  return %s : %s" % (values(results), types(results)), "}"]
    return "module @layer {\n%s\n}\n" % "\n".join(lines)
