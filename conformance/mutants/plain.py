"""The plain layer: a correct NumPy implementation in small pieces, each of which a mutant can replace.

Written apart from ``bnspec.equations``: the suite must not test a text against itself.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

import numpy as np

from bnspec.contract import Adapter, Gradients, Layer, LayerConfig, Profile, Scaler, State

Array = Any


class PlainLayer(Layer):
    """Batch normalization, two-pass, unbiased running variance; half precision is computed in float32."""

    #: What the mutant or variant is there for.
    family = ""
    #: Clauses of which at least one must kill the mutant; none for a variant.
    killed_by: Tuple[str, ...] = ()

    def __init__(
        self,
        config: LayerConfig,
        gamma: Optional[Array],
        beta: Optional[Array],
        running_mean: Array,
        running_var: Array,
    ) -> None:
        self.config = config
        self.raw_gamma, self.raw_beta = gamma, beta
        self.mean, self.var = running_mean, running_var
        self.work = np.dtype("float64" if config.dtype == "float64" else "float32")
        self.axes = config.reduce_axes
        self.calls = 0

    # --- pieces -----------------------------------------------------------------------------------------------------

    def wide(self, channels: Array) -> Array:
        """A (C,) array in the working precision, broadcastable against x."""
        return np.asarray(channels).astype(self.work).reshape(self.config.channel_shape)

    def gamma(self) -> Array:
        """The scale."""
        return self.wide(np.ones(self.config.channels) if self.raw_gamma is None else self.raw_gamma)

    def beta(self) -> Array:
        """The shift."""
        return self.wide(np.zeros(self.config.channels) if self.raw_beta is None else self.raw_beta)

    def count(self, x: Array) -> int:
        """Elements per channel."""
        return int(x.size // self.config.channels)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        """Mean and population variance."""
        mean = x.mean(axis=self.axes, keepdims=True)
        return mean, np.square(x - mean).mean(axis=self.axes, keepdims=True)

    def inv_std(self, var: Array) -> Array:
        """1 / sqrt(var + epsilon)."""
        return 1 / np.sqrt(var + self.work.type(self.config.epsilon))

    def inference_inv_std(self, var: Array) -> Array:
        """The same, in inference."""
        return self.inv_std(var)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        """Normalised, scaled, shifted."""
        return (x - mean) * inv_std * self.gamma() + self.beta()

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        """What normalises in training."""
        return self.moments(x)

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        """What normalises in inference."""
        return self.wide(self.mean), self.wide(self.var)

    def new_mean(self, old: Array, mean: Array) -> Array:
        """The running mean after a step."""
        decay = self.work.type(self.config.decay)
        return decay * old + (1 - decay) * mean

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        """The running variance after a step."""
        decay = self.work.type(self.config.decay)
        return decay * old + (1 - decay) * self.corrected(var, count)

    def corrected(self, var: Array, count: int) -> Array:
        """The variance that enters the running variance."""
        return var * self.work.type(count / (count - 1)) if count > 1 else var

    def update(self, x: Array) -> None:
        """Move the running statistics, in place."""
        mean, var = self.moments(x)
        self.store(self.new_mean(self.wide(self.mean), mean), self.new_var(self.wide(self.var), var, self.count(x)))

    def store(self, mean: Array, var: Array) -> None:
        """Write the running statistics."""
        self.mean[:] = mean.reshape(-1)
        self.var[:] = var.reshape(-1)

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """dx through the statistics."""
        a = dy.mean(axis=self.axes, keepdims=True)
        b = (dy * zhat).mean(axis=self.axes, keepdims=True)
        return self.gamma() * inv_std * (dy - a - zhat * b)

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """dx with constant statistics."""
        return self.gamma() * inv_std * dy

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        """dgamma and dbeta, shape (C,)."""
        return (dy * zhat).sum(axis=self.axes), dy.sum(axis=self.axes)

    # --- the contract -----------------------------------------------------------------------------------------------

    def values(self, array: Array) -> Array:
        """An input in the working precision."""
        return array.astype(self.work)

    def training(self, x: Array) -> Array:
        """The training forward pass."""
        self.calls += 1
        if x.size == 0:
            return x.copy()
        wide = self.values(x)
        mean, var = self.training_statistics(wide)
        y = self.output(wide, mean, self.inv_std(var))
        self.update(wide)
        return y.astype(x.dtype)

    def inference(self, x: Array) -> Array:
        """The inference forward pass."""
        self.calls += 1
        wide = self.values(x)
        mean, var = self.inference_statistics(wide)
        return self.output(wide, mean, self.inference_inv_std(var)).astype(x.dtype)

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        """Forward and backward in training."""
        y = self.training(x)
        if x.size == 0:
            zero = np.zeros(self.config.channels, self.mean.dtype)
            return self.gradients(x, y, x.copy(), zero, zero)
        wide, cotangent = self.values(x), self.values(dy)
        mean, var = self.training_statistics(wide)
        inv_std = self.inv_std(var)
        zhat = (wide - mean) * inv_std
        dx = self.training_dx(cotangent, zhat, inv_std)
        return self.gradients(x, y, dx, *self.parameter_gradients(cotangent, zhat, inv_std))

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        """Forward and backward in inference."""
        y = self.inference(x)
        wide, cotangent = self.values(x), self.values(dy)
        mean, var = self.inference_statistics(wide)
        inv_std = self.inference_inv_std(var)
        zhat = (wide - mean) * inv_std
        dx = self.inference_dx(cotangent, zhat, inv_std)
        return self.gradients(x, y, dx, *self.parameter_gradients(cotangent, zhat, inv_std))

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        """Results in the dtypes of what they belong to."""
        parameters = [g.astype(self.mean.dtype) if self.config.affine else None for g in (dgamma, dbeta)]
        return Gradients(y, dx.astype(x.dtype), *parameters)

    def state(self) -> State:
        """The running statistics."""
        return State(self.mean, self.var)


class PlainScaler(Scaler):
    """Input normalization: moments of each chunk, merged; a feature of noise is divided by 1."""

    family = ""
    killed_by: Tuple[str, ...] = ()

    def __init__(self, config: LayerConfig) -> None:
        self.config, self.axes = config, config.reduce_axes
        self.work = np.dtype("float64" if config.dtype == "float64" else "float32")

    def fit(self, chunks: Sequence[Array]) -> None:
        """Learn the statistics of all chunks."""
        count, mean, squares = (
            0,
            np.zeros(self.config.channel_shape, self.work),
            np.zeros(self.config.channel_shape, self.work),
        )
        for chunk in (c.astype(self.work) for c in chunks if c.size):
            count, mean, squares = self.merged(count, mean, squares, chunk)
        self.count, self.mean, self.var = count, mean, squares / self.work.type(count)

    def merged(self, count: int, mean: Array, squares: Array, chunk: Array) -> Tuple[int, Array, Array]:
        """Count, mean and squared deviations with one more chunk."""
        n = int(chunk.size // self.config.channels)
        own = chunk.mean(axis=self.axes, keepdims=True)
        delta, total = own - mean, count + n
        spread = np.square(chunk - own).sum(axis=self.axes, keepdims=True)
        return total, mean + delta * (n / total), squares + spread + np.square(delta) * (count * n / total)

    def scale(self) -> Array:
        """What divides."""
        reach = self.count * np.finfo(self.work).eps
        noise = reach * self.var + np.square(reach * self.mean)
        return np.where(self.var <= noise, self.work.type(1), np.sqrt(self.var))

    def transform(self, x: Array) -> Array:
        """(x - mean) / std."""
        return ((x.astype(self.work) - self.mean) / self.scale()).astype(x.dtype)

    def inverse(self, y: Array) -> Array:
        """y * std + mean."""
        return (y.astype(self.work) * self.scale() + self.mean).astype(y.dtype)

    def statistics(self) -> State:
        """The fitted statistics."""
        return State(self.mean.reshape(-1), self.var.reshape(-1))


class PlainAdapter(Adapter):
    """The plain layer as a backend; a mutant or variant puts its own classes in."""

    framework = "numpy"
    profile = Profile(
        running_correction=1,
        momentum_weighs="none",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        input_normalization=True,
    )
    layer_class: type = PlainLayer
    scaler_class: type = PlainScaler

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """A layer of the class under test."""
        return self.layer_class(config, gamma, beta, running_mean, running_var)

    def scaler(self, config: LayerConfig) -> Scaler:
        """A scaler of the class under test."""
        return self.scaler_class(config)
