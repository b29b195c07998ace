"""``iree``: StableHLO's operations batch_norm_inference and batch_norm_training. The caller averages the statistics.

Inference is one program for all extents of x; training is compiled for each shape, because IREE compiles no other.

Source: https://openxla.org/stablehlo/spec#batch_norm_training
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

from bnspec.backends.iree.common import Function, Iree, versions
from bnspec.backends.worker.forward_only import ForwardOnly
from bnspec.contract import Adapter, Conventions, Declined, LayerConfig, State

TYPES = {"float64": "f64", "float32": "f32", "bfloat16": "bf16", "float16": "f16"}
INFERENCE = """func.func @layer(%x: {x}, %gamma: {c}, %beta: {c}, %mean: {c}, %var: {c}) -> {x} {{
  %y = "stablehlo.batch_norm_inference"(%x, %gamma, %beta, %mean, %var) {{
    epsilon = {epsilon} : f32, feature_index = {axis} : i64}} : ({x}, {c}, {c}, {c}, {c}) -> {x}
  return %y : {x}
}}
"""
TRAINING = """func.func @layer(%x: {x}, %gamma: {c}, %beta: {c}) -> ({x}, {c}, {c}) {{
  %y, %mean, %var = "stablehlo.batch_norm_training"(%x, %gamma, %beta) {{
    epsilon = {epsilon} : f32, feature_index = {axis} : i64}} : ({x}, {c}, {c}) -> ({x}, {c}, {c})
  return %y, %mean, %var : {x}, {c}, {c}
}}
"""


class IreeStableHlo(Adapter):
    """Modules of one operation, whose tensors all have x's dtype; epsilon is a float32 attribute."""

    framework = "iree.runtime"
    conventions = Conventions(
        momentum_weighs="none",
        epsilon_dtype="float32",
        empty_batch="keeps_state",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        ranks=(2, 3, 4, 5, 6),
        layouts="normalised",
        mutable_tensors=False,
        affine_optional=False,
        gradient_modes=(),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.iree = Iree()
        self.functions: Dict[Tuple[Any, ...], Function] = {}

    def versions(self) -> Dict[str, str]:
        """Versions of the compiler and of the runtime."""
        return versions()

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> OperationLayer:
        """The arrays that the operations take beside x."""
        if config.dtype != config.parameter_dtype:
            raise Declined("the operations' parameters have x's dtype")
        return OperationLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def function(self, template: str, config: LayerConfig, extents: Tuple[str, ...]) -> Function:
        """The compiled module of an operation, made once."""
        key = template, config.dtype, config.channel_axis, config.epsilon, extents
        if key not in self.functions:
            kind = TYPES[config.dtype]
            x, c = ("tensor<%s>" % "x".join([*shape, kind]) for shape in (extents, (str(config.channels),)))
            text = template.format(x=x, c=c, epsilon="%.9e" % config.epsilon, axis=config.channel_axis)
            self.functions[key] = self.iree.function(text)
        return self.functions[key]


class OperationLayer(ForwardOnly):
    """The arrays of one layer."""

    def __init__(self, owner: IreeStableHlo, config: LayerConfig, parameters: Tuple[Any, Any], running: State) -> None:
        self.owner, self.config, self.decay = owner, config, config.decay
        self.parameters, self.running = parameters, running

    def training(self, x: Any) -> Any:
        """batch_norm_training; the caller's moving averages."""
        extents = tuple(str(n) for n in x.shape)
        y, *batch = self.owner.function(TRAINING, self.config, extents)(x, *self.parameters)
        if x.size:  # the moments of an empty batch are NaN
            old, new = (x.dtype.type(weight) for weight in (self.decay, 1.0 - self.decay))
            self.running = State(*(old * kept + new * found for kept, found in zip(self.running, batch)))
        return y

    def inference(self, x: Any) -> Any:
        """batch_norm_inference."""
        extents = tuple(str(n) if axis == self.config.channel_axis else "?" for axis, n in enumerate(x.shape))
        return self.owner.function(INFERENCE, self.config, extents)(x, *self.parameters, *self.running)[0]

    def state(self) -> State:
        """The statistics."""
        return self.running

    def set_decay(self, decay: float) -> None:
        """Average with another weight from now on."""
        self.decay = decay
