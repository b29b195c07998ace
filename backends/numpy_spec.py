"""``numpy``: the specification itself, evaluated in the working precision.

Half-precision input is widened to float32, in which everything is computed; results are rounded once at the end.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import numpy as np

from bnspec import equations as eq
from bnspec import input_equations as inputs
from bnspec.backends.numpy_network import NumpyNetwork
from bnspec.contract import Adapter, Gradients, Layer, LayerConfig, Profile, Scaler, State
from bnspec.profiles import HALVES


class NumpySpec(Adapter):
    """The equations of ``bnspec.equations`` on NumPy arrays."""

    framework = "numpy"
    profile = Profile(
        running_correction=0,
        momentum_weighs="none",
        count_one="biased",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        input_normalization=True,
    )

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NumpyLayer:
        """A layer over these arrays; the running statistics are updated in place."""
        return NumpyLayer(config, gamma, beta, running_mean, running_var)

    def network(self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]) -> NumpyNetwork:
        """The network written around the equations."""
        return NumpyNetwork(kind, config, learning_rate, values)

    def scaler(self, config: LayerConfig) -> NumpyScaler:
        """Input normalization by Chan's merge of chunk moments."""
        return NumpyScaler(config)


class NumpyLayer(Layer):
    """One batch-normalization layer."""

    def __init__(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> None:
        self.config, self.running_mean, self.running_var = config, running_mean, running_var
        self.work = np.dtype("float32") if config.dtype in HALVES else np.dtype(config.dtype)
        self.gamma = self.wide(np.ones(config.channels) if gamma is None else gamma)
        self.beta = self.wide(np.zeros(config.channels) if beta is None else beta)

    def wide(self, channels: Any) -> Any:
        """A (C,) array in the working precision, shaped to broadcast against x."""
        return channels.astype(self.work).reshape(self.config.channel_shape)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        if x.size == 0:
            return x.copy()
        wide, axes = x.astype(self.work), self.config.reduce_axes
        y = eq.training_forward(wide, self.gamma, self.beta, self.config.epsilon, axes)
        mean, var = eq.batch_statistics(wide, axes)
        decay, count = self.config.decay, x.size // self.config.channels
        self.running_mean[:] = eq.running_mean_update(self.wide(self.running_mean), mean, decay).reshape(-1)
        self.running_var[:] = eq.running_var_update(self.wide(self.running_var), var, count, decay, 0).reshape(-1)
        return y.astype(x.dtype)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        mean, var = self.wide(self.running_mean), self.wide(self.running_var)
        y = eq.inference_forward(x.astype(self.work), self.gamma, self.beta, mean, var, self.config.epsilon)
        return y.astype(x.dtype)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in training mode."""
        y = self.training(x)
        if x.size == 0:
            return self.gradients(x, y, x, dy, x)
        wide, axes, epsilon = x.astype(self.work), self.config.reduce_axes, self.config.epsilon
        zhat = eq.normalise(wide, *eq.batch_statistics(wide, axes), epsilon)
        dx = eq.training_dx(wide, dy.astype(self.work), self.gamma, epsilon, axes)
        return self.gradients(x, y, dx, dy, zhat)

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in inference mode."""
        mean, var = self.wide(self.running_mean), self.wide(self.running_var)
        zhat = eq.normalise(x.astype(self.work), mean, var, self.config.epsilon)
        dx = eq.inference_dx(dy.astype(self.work), self.gamma, var, self.config.epsilon)
        return self.gradients(x, self.inference(x), dx, dy, zhat)

    def gradients(self, x: Any, y: Any, dx: Any, dy: Any, zhat: Any) -> Gradients:
        """Round the results to the dtypes of what they are gradients of."""
        parameters = np.dtype(self.running_mean.dtype)
        wide = (zhat.astype(self.work), dy.astype(self.work))
        dgamma, dbeta = (
            g.reshape(-1).astype(parameters) for g in eq.parameter_gradients(*wide, self.config.reduce_axes)
        )
        return Gradients(y, dx.astype(x.dtype), *((dgamma, dbeta) if self.config.affine else (None, None)))

    def state(self) -> State:
        """The running statistics."""
        return State(self.running_mean, self.running_var)


class NumpyScaler(Scaler):
    """Input normalization; a feature whose variance is rounding noise, m u var + (m u mean)^2, is constant: divided by 1."""

    def __init__(self, config: LayerConfig) -> None:
        self.config = config
        self.work = np.dtype("float32") if config.dtype in HALVES else np.dtype(config.dtype)

    def fit(self, chunks: Sequence[Any]) -> None:
        """Learn the moments of all chunks."""
        total = inputs.fit([c.astype(self.work) for c in chunks], self.config.reduce_axes)
        self.mean, self.var = total.mean, total.var
        reach = total.count * np.finfo(self.work).eps
        noise = reach * self.var + (reach * self.mean) * (reach * self.mean)
        self.scale = np.where(self.var <= noise, self.work.type(1), np.sqrt(self.var))

    def transform(self, x: Any) -> Any:
        """(x - mean) / std."""
        return inputs.input_transform(x.astype(self.work), self.mean, self.scale).astype(x.dtype)

    def inverse(self, y: Any) -> Any:
        """y * std + mean."""
        return inputs.input_inverse(y.astype(self.work), self.mean, self.scale).astype(y.dtype)

    def statistics(self) -> State:
        """The fitted mean and variance."""
        return State(self.mean.reshape(-1), self.var.reshape(-1))
