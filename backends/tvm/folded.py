"""``tvm.folded``: Relax's conv2d and batch_norm after it, which FoldBatchnormToConv2D makes one convolution.

    tvm.folded.training   the same of a batch_norm in training, which is no convolution: tables scaled by their own statistics

The convolution computes the case's x exactly; see ``worker.folding``. It has no bias, which the pass's pattern leaves no room for.

Source: https://tvm.apache.org/docs/reference/api/python/relax/transform.html
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import numpy as np

from bnspec.backends.tvm.common import Function, Relax, versions
from bnspec.backends.worker.folding import FINITE_ONLY, NO_VALUES, TOO_WIDE, WEIGHTS_AT_MOST, mixing, pairs
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.backends.worker.scaler_rows import ScaledTable, ScalerAdapter
from bnspec.contract import Adapter, Conventions, Declined, LayerConfig, State

#: The epsilon of what scales tables.
EPSILON = 2.0**-10


class Folding(Adapter):
    """What both have: Relax, and its version."""

    framework = "tvm"

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.backend = Relax()

    def versions(self) -> Dict[str, str]:
        """TVM's version."""
        return versions()


class TvmFolded(Folding):
    """Images with channels first or last; without affine ``center`` and ``scale`` are False."""

    conventions = Conventions(
        momentum_weighs="new",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "float16"),
        half_parameters=("input",),
        ranks=(4,),
        channel_axes="first_and_last",
        layouts="normalised",
        mutable_tensors=False,
        gradient_modes=(),
    )

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FoldedLayer:
        """The constants of the module, which is made when the layer is called."""
        if config.dtype != config.parameter_dtype:
            raise Declined("the operator's arguments have one dtype")
        return FoldedLayer(self.backend, config, (gamma, beta), State(running_mean, running_var))


class TvmFoldedTraining(Folding, ScalerAdapter):
    """A convolution of the rows of a table as images of one value, and the operator in training, folded."""

    conventions = Conventions(
        dtypes=("float32",), half_parameters=("input",), input_normalization=True, input_epsilon=EPSILON
    )

    def scaler(self, config: LayerConfig) -> ScaledTable:
        """The module, for one table."""
        images = LayerConfig(4, 1, config.channels, EPSILON, 0.5, config.dtype, config.dtype)
        gamma, beta, mean, var = (np.full(config.channels, value, config.dtype) for value in (1.0, 0.0, 4096.0, 0.25))
        layer = FoldedLayer(self.backend, images, (gamma, beta), State(mean, var), training=True)

        def scaled(table: Any) -> Any:
            return layer.inference(table[:, :, None, None])[:, :, 0, 0]

        return ScaledTable(config, scaled)


class FoldedLayer(InferenceOnly):
    """One module for each shape of x."""

    def __init__(
        self,
        backend: Relax,
        config: LayerConfig,
        parameters: Tuple[Any, Any],
        running: State,
        training: bool = False,
    ) -> None:
        self.backend, self.config, self.running, self.trains = backend, config, running, training
        #: The operator takes arrays that it does not use, too.
        unused = np.full(config.channels, 3.0, running.running_mean.dtype)
        self.parameters = tuple(unused if array is None else array for array in parameters)
        self.functions: Dict[Any, Function] = {}

    def inference(self, x: Any) -> Any:
        """y of the folded module, of the input of which the convolution makes x."""
        channels, groups = self.config.channels, self.groups()
        if not x.size:
            raise Declined(NO_VALUES)
        if not np.isfinite(x).all():
            raise Declined(FINITE_ONLY)
        if channels * channels // groups > WEIGHTS_AT_MOST:
            raise Declined(TOO_WIDE)
        if x.shape not in self.functions:
            self.functions[x.shape] = self.backend.function(self.module(x.shape))
        sources, signs = mixing(channels, groups)
        given = np.empty(x.shape, x.dtype)
        np.moveaxis(given, self.config.channel_axis, -1)[..., sources] = np.moveaxis(
            x, self.config.channel_axis, -1
        ) * signs.astype(x.dtype)
        return self.functions[x.shape](given)[0]

    def groups(self) -> int:
        """Pairs of channels that come first, where their number is even."""
        return pairs(self.config.channels) if self.config.channel_axis == 1 else 1

    def module(self, shape: Tuple[int, ...]) -> Any:
        """The folded module."""
        relax, config, groups = self.backend.relax, self.config, self.groups()
        channels = config.channels
        sources, signs = mixing(channels, groups)
        weight = np.zeros((channels, channels // groups, 1, 1), config.dtype)
        weight[np.arange(channels), sources % (channels // groups), 0, 0] = signs
        layout = "NCHW" if config.channel_axis == 1 else "NHWC"
        constants = [
            relax.const(np.ascontiguousarray(a), config.dtype) for a in (weight, *self.parameters, *self.running)
        ]
        builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType(shape, config.dtype))
        with builder.function("main", [x]):
            with builder.dataflow():
                z = relax.op.nn.conv2d(x, constants[0], groups=groups, data_layout=layout, kernel_layout="OIHW")
                y = relax.op.nn.batch_norm(
                    builder.emit(z),
                    *constants[1:],
                    axis=config.channel_axis,
                    epsilon=config.epsilon,
                    center=config.affine,
                    scale=config.affine,
                    training=self.trains,
                )
                result = builder.emit_output(relax.TupleGetItem(builder.emit(y), 0))
            builder.emit_func_output(result)
        return relax.transform.FoldBatchnormToConv2D()(builder.get())

    def state(self) -> State:
        """The statistics that were given."""
        return self.running
