"""``numpy``: the specification itself, evaluated in the working precision.

Half-precision input is widened to float32, in which everything is computed; results are rounded once at the end.
"""

from __future__ import annotations

import copy
import dataclasses
import io
from typing import Any, Mapping, Optional, Sequence, Tuple

import numpy as np

from bnspec.backends.numpy.layer_norm import NumpyLayerNorm
from bnspec.backends.numpy.network import NumpyNetwork, PlainNumpyNetwork, RowsNetwork
from bnspec.contract import Adapter, Conventions, Gradients, Layer, LayerConfig, Scaler, SecondOrder, State, Tangent
from bnspec.equations import batch_norm as eq
from bnspec.equations import input_normalization as inputs
from bnspec.equations import second_order, third_order
from bnspec.model.arguments import malformed
from bnspec.model.buffers import dtype_of
from bnspec.model.conventions import HALVES
from bnspec.model.vocabulary import NetworkKind


class NumpySpec(Adapter):
    """The equations of ``bnspec.equations.batch_norm`` on NumPy arrays."""

    framework = "numpy"
    conventions = Conventions(
        checks_arguments=True,
        running_correction=0,
        momentum_weighs="none",
        frozen_gradients="constants",
        count_one="biased",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        integers=True,
        input_normalization=True,
    )

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NumpyLayer:
        """A layer over these arrays; the running statistics are updated in place."""
        return NumpyLayer(config, gamma, beta, running_mean, running_var)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> RowsNetwork:
        """The network written around the equations."""
        made = PlainNumpyNetwork if kind.endswith("_plain") else NumpyNetwork
        return made(kind, config, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> NumpyLayerNorm:
        """The equations of ``bnspec.equations.layer_norm``."""
        return NumpyLayerNorm(config, gamma, beta)

    def new_layer(self, config: LayerConfig) -> NumpyLayer:
        """A layer with gamma 1 and beta 0, and the running statistics 0 and 1."""
        ones, zeros = (np.full(config.channels, value, dtype_of(config.parameter_dtype)) for value in (1, 0))
        return NumpyLayer(config, ones, zeros, zeros.copy(), ones.copy())

    def scaler(self, config: LayerConfig) -> NumpyScaler:
        """Input normalization by Chan's merge of chunk moments."""
        return NumpyScaler(config)


class NumpyLayer(Layer):
    """One batch-normalization layer."""

    def __init__(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> None:
        self.config, self.running_mean, self.running_var = config, running_mean, running_var
        given = {"gamma": gamma, "beta": beta, "running_mean": running_mean, "running_var": running_var}
        self.shapes = {name: array.shape for name, array in given.items() if array is not None}
        self.check((1, config.channels), channel_axis=1)
        self.work = np.dtype("float32") if config.dtype in HALVES else np.dtype(config.dtype)
        self.gamma = self.wide(np.ones(config.channels) if gamma is None else gamma)
        self.beta = self.wide(np.zeros(config.channels) if beta is None else beta)
        self.frozen = False

    def wide(self, channels: Any) -> Any:
        """A (C,) array in the working precision, shaped to broadcast against x."""
        return channels.astype(self.work).reshape(self.config.channel_shape)

    def check(
        self, x: Tuple[int, ...], dy: Optional[Tuple[int, ...]] = None, channel_axis: Optional[int] = None
    ) -> None:
        """Raise ValueError unless these shapes fit each other and the parameters: NumPy would broadcast many that do not."""
        problem = malformed(x, self.config.channel_axis if channel_axis is None else channel_axis, self.shapes, dy)
        if problem:
            raise ValueError(problem)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics, unless the layer is frozen."""
        self.check(x.shape)
        if self.frozen:
            return self.inference(x)
        if x.size == 0:
            return x.copy()
        wide, axes = channel_major(x.astype(self.work), self.config), self.config.reduce_axes
        y = eq.training_forward(wide, self.gamma, self.beta, self.config.epsilon, axes)
        mean, var = eq.batch_statistics(wide, axes)
        decay, count = self.config.decay, x.size // self.config.channels
        self.running_mean[:] = eq.running_mean_update(self.wide(self.running_mean), mean, decay).reshape(-1)
        self.running_var[:] = eq.running_var_update(self.wide(self.running_var), var, count, decay, 0).reshape(-1)
        return y.astype(self.floating(x))

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        self.check(x.shape)
        mean, var = self.wide(self.running_mean), self.wide(self.running_var)
        y = eq.inference_forward(x.astype(self.work), self.gamma, self.beta, mean, var, self.config.epsilon)
        return y.astype(self.floating(x))

    def floating(self, x: Any) -> Any:
        """The dtype of y: x's, and of integers the layer's own."""
        return self.work if x.dtype.kind in "iub" else x.dtype

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in training mode."""
        self.check(x.shape, dy.shape)
        if self.frozen:
            return self.inference_gradients(x, dy)
        y = self.training(x)
        if x.size == 0:
            return self.gradients(x, y, x, dy, x)
        axes, epsilon = self.config.reduce_axes, self.config.epsilon
        wide, wide_dy = (channel_major(a.astype(self.work), self.config) for a in (x, dy))
        zhat = eq.normalise(wide, *eq.batch_statistics(wide, axes), epsilon)
        dx = eq.training_dx(wide, wide_dy, self.gamma, epsilon, axes)
        return self.gradients(x, y, dx, dy, zhat)

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in inference mode."""
        self.check(x.shape, dy.shape)
        mean, var = self.wide(self.running_mean), self.wide(self.running_var)
        zhat = eq.normalise(x.astype(self.work), mean, var, self.config.epsilon)
        dx = eq.inference_dx(dy.astype(self.work), self.gamma, var, self.config.epsilon)
        return self.gradients(x, self.inference(x), dx, dy, zhat)

    def gradients(self, x: Any, y: Any, dx: Any, dy: Any, zhat: Any) -> Gradients:
        """The gradients, rounded to the dtypes of their arguments."""
        parameters = np.dtype(self.running_mean.dtype)
        wide, wide_dy = (channel_major(a.astype(self.work), self.config) for a in (zhat, dy))
        dgamma, dbeta = (
            g.reshape(-1).astype(parameters) for g in eq.parameter_gradients(wide, wide_dy, self.config.reduce_axes)
        )
        return Gradients(y, dx.astype(x.dtype), *((dgamma, dbeta) if self.config.affine else (None, None)))

    def state(self) -> State:
        """The running statistics."""
        return State(self.running_mean, self.running_var)

    # --- derivatives --------------------------------------------------------------------------------------------------

    def training_some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """The wanted subset of ``training_gradients``."""
        return wanted_of(self.training_gradients(x, dy), wanted)

    def inference_some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        """The wanted subset of ``inference_gradients``."""
        return wanted_of(self.inference_gradients(x, dy), wanted)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Those of y alone: the update has none."""
        return self.training_gradients(x, dy)

    def training_second_order(self, x: Any, dy: Any, v: Any) -> SecondOrder:
        """The gradients of <v, dx> in training mode; 0 for a batch without values."""
        if self.frozen or x.size == 0:
            return self.inference_second_order(x, dy, v)
        self.training(x)
        wide, wide_dy, wide_v = (a.astype(self.work) for a in (x, dy, v))
        axes, epsilon = self.config.reduce_axes, self.config.epsilon
        return self.rounded(second_order.training_second_order(wide, wide_dy, wide_v, self.gamma, epsilon, axes), x)

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """The gradient of <v, the gradient of <v, dx>> in training mode; 0 for a batch without values."""
        if self.frozen or x.size == 0:
            return np.zeros_like(x)
        self.training(x)
        wide, wide_dy, wide_v = (a.astype(self.work) for a in (x, dy, v))
        axes, epsilon = self.config.reduce_axes, self.config.epsilon
        return third_order.training_third_order(wide, wide_dy, wide_v, self.gamma, epsilon, axes).astype(x.dtype)

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """The second derivative by x, which it equals; 0 for a batch without values."""
        return self.training_second_order(x, dy, v).by_x

    def inference_second_order(self, x: Any, dy: Any, v: Any) -> SecondOrder:
        """The gradients of <v, dx> in inference mode."""
        wide_dy, wide_v, var = dy.astype(self.work), v.astype(self.work), self.wide(self.running_var)
        axes, epsilon = self.config.reduce_axes, self.config.epsilon
        return self.rounded(second_order.inference_second_order(wide_dy, wide_v, self.gamma, var, epsilon, axes), x)

    def rounded(self, found: Any, x: Any) -> SecondOrder:
        """The second derivatives, rounded to the dtypes of their arguments."""
        by_gamma = found.by_gamma.reshape(-1).astype(self.running_mean.dtype) if self.config.affine else None
        return SecondOrder(found.by_x.astype(x.dtype), found.by_dy.astype(x.dtype), by_gamma)

    def training_tangent(self, x: Any, v: Any) -> Tangent:
        """y and its derivative along v: dx with v in place of dy."""
        if self.frozen or x.size == 0:
            return self.inference_tangent(x, v)
        wide, wide_v, axes = x.astype(self.work), v.astype(self.work), self.config.reduce_axes
        along = eq.training_dx(wide, wide_v, self.gamma, self.config.epsilon, axes)
        return Tangent(self.training(x), along.astype(x.dtype))

    def inference_tangent(self, x: Any, v: Any) -> Tangent:
        """y and its derivative along v: dx with v in place of dy."""
        along = eq.inference_dx(v.astype(self.work), self.gamma, self.wide(self.running_var), self.config.epsilon)
        return Tangent(self.inference(x), along.astype(x.dtype))

    # --- masks --------------------------------------------------------------------------------------------------------

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass of the batch without its padding; 0 on the padding."""
        layer, kept = self.of_rows(mask)
        return self.put_back(layer.training(self.rows(x)[kept]), kept)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward of the batch without its padding; y and dx are 0 on the padding."""
        layer, kept = self.of_rows(mask)
        y, dx, dgamma, dbeta = layer.training_gradients(self.rows(x)[kept], self.rows(dy)[kept])
        return Gradients(self.put_back(y, kept), self.put_back(dx, kept), dgamma, dbeta)

    def rows(self, x: Any) -> Any:
        """x with the channel axis last."""
        return np.moveaxis(x, self.config.channel_axis, -1)

    def of_rows(self, mask: Any) -> Tuple[NumpyLayer, Any]:
        """A layer for rows of shape (kept, C) that shares the running statistics, and the mask of kept rows."""
        config = dataclasses.replace(self.config, rank=2, channel_axis=1)
        parameters = (self.gamma.reshape(-1), self.beta.reshape(-1))
        layer = NumpyLayer(config, *parameters, self.running_mean, self.running_var)
        layer.frozen = self.frozen
        return layer, self.rows(mask)[..., 0]

    def put_back(self, rows: Any, kept: Any) -> Any:
        """Rows of shape (kept, C) in x's shape; 0 elsewhere."""
        whole = np.zeros((*kept.shape, self.config.channels), rows.dtype)
        whole[kept] = rows
        return np.moveaxis(whole, -1, self.config.channel_axis)

    # --- operations between calls -------------------------------------------------------------------------------------

    def restored(self) -> NumpyLayer:
        """A layer over arrays saved with ``np.savez`` and loaded with ``np.load``."""
        file, state = io.BytesIO(), {"running_mean": self.running_mean, "running_var": self.running_var}
        np.savez(file, gamma=self.gamma.reshape(-1), beta=self.beta.reshape(-1), **state)
        file.seek(0)
        loaded = np.load(file)
        # the file stores bfloat16 as two untyped bytes
        running = [loaded[name].view(array.dtype) for name, array in state.items()]
        return type(self)(self.config, loaded["gamma"], loaded["beta"], *running)

    def copied(self) -> NumpyLayer:
        """A deep copy."""
        return copy.deepcopy(self)

    def reset(self) -> None:
        """The running statistics of a new layer: 0 and 1."""
        self.running_mean[:], self.running_var[:] = 0, 1

    def freeze(self, frozen: bool) -> None:
        """Freeze the layer: it then computes in training mode as in inference mode."""
        self.frozen = frozen

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


def channel_major(array: Any, config: LayerConfig) -> Any:
    """The array in memory where each channel is packed: along packed values NumPy adds pairwise, across rows one by one."""
    axis = config.channel_axis
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, axis, 0)), 0, axis)


def wanted_of(gradients: Gradients, wanted: Tuple[str, ...]) -> Gradients:
    """y and the wanted gradients."""
    return Gradients(gradients.y, *(g if n in wanted else None for n, g in list(gradients._asdict().items())[1:]))


class NumpyScaler(Scaler):
    """Input normalization; a feature whose variance is rounding noise, m u var + (m u mean)^2, is constant: divided by 1."""

    def __init__(self, config: LayerConfig) -> None:
        self.config = config
        self.work = np.dtype("float32") if config.dtype in HALVES else np.dtype(config.dtype)

    def fit(self, chunks: Sequence[Any]) -> None:
        """Learn the moments of all chunks."""
        packed = [channel_major(c.astype(self.work), self.config) for c in chunks]
        total = inputs.fit(packed, self.config.reduce_axes)
        self.mean, self.var = total.mean, total.var
        reach = total.count * np.finfo(self.work).eps
        noise = reach * self.var + (reach * self.mean) * (reach * self.mean)
        self.scale = np.where(self.var <= noise, self.work.type(1), np.sqrt(self.var))

    def transform(self, x: Any) -> Any:
        """(x - mean) / std."""
        y = inputs.input_transform(x.astype(self.work), self.mean, self.scale)
        return y if x.dtype.kind in "iub" else y.astype(x.dtype)

    def inverse(self, y: Any) -> Any:
        """y * std + mean."""
        return inputs.input_inverse(y.astype(self.work), self.mean, self.scale).astype(y.dtype)

    def statistics(self) -> State:
        """The fitted mean and variance."""
        return State(self.mean.reshape(-1), self.var.reshape(-1))
