"""``tvm``: the Relax operator ``relax.op.nn.batch_norm``, as legalization lowers it.

    tvm.decomposed   the operator as DecomposeOpsForTraining and DecomposeOpsForInference rewrite it, which Gradient can differentiate

Source: https://tvm.apache.org/docs/reference/api/python/relax/op.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from bnspec.backends.tvm.common import Function, Relax, versions
from bnspec.backends.worker.forward_only import ForwardOnly
from bnspec.contract import Adapter, Conventions, Declined, Gradients, LayerConfig, State
from bnspec.model.call import Mode

#: In float16 sums are float16, too: those of so few ones as 4,096 stop at 2,048.
CONVENTIONS = Conventions(
    momentum_weighs="new",
    default_epsilon=1e-5,
    default_decay=0.9,
    half_statistics="input",
    half_arithmetic="input",
    dtypes=("float64", "float32", "bfloat16", "float16"),
    half_parameters=("input",),
    layouts="normalised",
    mutable_tensors=False,
    gradient_modes=(),
)
#: What a program is compiled for: its mode, its configuration, and the extents of x where they are not open.
Key = Tuple[Any, ...]


class TvmOperator(Adapter):
    """Functions of one operator; the extents of x are open. Without affine ``center`` and ``scale`` are False."""

    framework = "tvm"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.backend = Relax()
        self.functions: Dict[Key, Function] = {}

    def versions(self) -> Dict[str, str]:
        """TVM's version."""
        return versions()

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> OperatorLayer:
        """The arrays that the operator takes beside x."""
        if config.dtype != config.parameter_dtype:
            raise Declined("the operator's arguments have one dtype")
        return OperatorLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def forward(self, config: LayerConfig, mode: Mode, shape: Tuple[int, ...]) -> Function:
        """The compiled function of y and the statistics, made once."""
        key = config, mode
        if key not in self.functions:
            open_extents = [self.backend.tvm.tirx.Var("n%d" % axis, "int64") for axis in range(config.rank)]
            open_extents[config.channel_axis] = config.channels
            self.functions[key] = self.backend.function(self.module(config, mode, open_extents))
        return self.functions[key]

    def module(self, config: LayerConfig, mode: Mode, extents: Any, differentiated: bool = False) -> Any:
        """The module of y and the statistics; ``differentiated``: after <dy, y>."""
        relax = self.backend.relax
        builder, kind, channels = relax.BlockBuilder(), config.dtype, (config.channels,)
        shapes = [extents, *[channels] * 4, *[extents] * differentiated]
        given = [relax.Var(n, relax.TensorType(s, kind)) for n, s in zip(NAMES, shapes)]
        options = {"axis": config.channel_axis, "epsilon": config.epsilon, "momentum": 1.0 - config.decay}
        options.update(center=config.affine, scale=config.affine, training=mode == "training")
        with builder.function("main", given):
            with builder.dataflow():
                found = builder.emit(relax.op.nn.batch_norm(*given[:5], **options))
                results = [builder.emit(relax.TupleGetItem(found, k)) for k in range(3)]
                if differentiated:
                    results.insert(0, builder.emit(relax.op.sum(relax.op.multiply(results[0], given[5]))))
                results = [builder.emit_output(result) for result in results]
            builder.emit_func_output(relax.Tuple(results))
        return self.lowered(builder.get(), mode)

    def lowered(self, module: Any, mode: Mode) -> Any:
        """The module as it is: compilation legalizes the operator."""
        return module


#: The arguments of the functions.
NAMES = ("x", "gamma", "beta", "moving_mean", "moving_var", "dy")


class TvmDecomposed(TvmOperator):
    """Functions of shapes that are known: Gradient differentiates no others."""

    conventions = dataclasses.replace(CONVENTIONS, gradient_modes=("training", "inference"))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> DecomposedLayer:
        """The arrays that the operator takes beside x."""
        if config.dtype != config.parameter_dtype:
            raise Declined("the operator's arguments have one dtype")
        return DecomposedLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def lowered(self, module: Any, mode: Mode) -> Any:
        """The operator as others."""
        transform = self.backend.relax.transform
        passes = {"training": transform.DecomposeOpsForTraining, "inference": transform.DecomposeOpsForInference}
        return passes[mode]()(module)

    def forward(self, config: LayerConfig, mode: Mode, shape: Tuple[int, ...]) -> Function:
        """The compiled function for this shape of x."""
        key = config, mode, shape
        if key not in self.functions:
            self.functions[key] = self.backend.function(self.module(config, mode, shape))
        return self.functions[key]

    def backward(self, config: LayerConfig, mode: Mode, shape: Tuple[int, ...]) -> Function:
        """The compiled function of <dy, y>, y, the statistics, and the gradients of <dy, y>."""
        key = config, mode, shape, "gradients"
        if key not in self.functions:
            module = self.module(config, mode, shape, differentiated=True)
            wanted = list(module["main"].params)[: 3 if config.affine else 1]
            transform = self.backend.relax.transform.Gradient("main", require_grads=wanted, target_index=0)
            self.functions[key] = self.backend.function(transform(module), "main_adjoint")
        return self.functions[key]


class OperatorLayer(ForwardOnly):
    """The arrays of one layer."""

    def __init__(self, owner: Any, config: LayerConfig, parameters: Tuple[Any, Any], running: State) -> None:
        self.owner, self.config, self.running = owner, config, running
        #: The operator takes arrays that it does not use, too.
        unused = np.full(config.channels, 3.0, running.running_mean.dtype)
        self.parameters = tuple(unused if array is None else array for array in parameters)

    def run(self, x: Any, mode: Mode) -> List[Any]:
        """y and the statistics."""
        function = self.owner.forward(self.config, mode, x.shape)
        return list(function(x, *self.parameters, *self.running))

    def training(self, x: Any) -> Any:
        """y; the other results become the statistics."""
        y, *running = self.run(x, "training")
        self.running = State(*running)
        return y

    def inference(self, x: Any) -> Any:
        """y."""
        return self.run(x, "inference")[0]

    def state(self) -> State:
        """The statistics."""
        return self.running

    def set_decay(self, decay: float) -> None:
        """An operator with another momentum."""
        self.config = dataclasses.replace(self.config, decay=decay)


class DecomposedLayer(OperatorLayer):
    """The arrays of one layer, which is differentiated, too."""

    def differentiated(self, x: Any, dy: Any, mode: Mode) -> Tuple[Gradients, State]:
        """The gradients of <dy, y>, and the statistics."""
        if self.config.dtype == "bfloat16":
            raise Declined("Gradient takes no bfloat16 for a type of floating point numbers")
        function = self.owner.backward(self.config, mode, x.shape)
        (_, y, *running), found = function(x, *self.parameters, *self.running, dy)
        dx, dgamma, dbeta = found if self.config.affine else (*found, None, None)
        return Gradients(y, dx, dgamma, dbeta), State(*running)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """The gradients; the other results become the statistics."""
        gradients, self.running = self.differentiated(x, dy, "training")
        return gradients

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """The gradients."""
        return self.differentiated(x, dy, "inference")[0]
