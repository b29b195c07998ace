"""The plain reference layer: a correct NumPy implementation in small methods that mutants override.

Written independently of ``bnspec.equations.batch_norm``: the suite must not test code against itself.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import numpy as np

from bnspec.contract import Gradients, Layer, LayerConfig, State
from bnspec.model.call import Call

Array = Any


class PlainLayer(Layer):
    """Batch normalization, two-pass, unbiased running variance; half precision is computed in float32."""

    #: The family of clauses that the mutant tests; empty for a variant.
    family = ""
    #: Clauses, at least one of which must kill the mutant (or, at level MAY, note it); none for a variant.
    killed_by: Tuple[str, ...] = ()
    #: The only path on which the mutant differs from the plain layer; empty if it differs on all.
    path = ""
    #: The only calls on which the mutant differs from its base class; empty if it differs on others too.
    calls: Tuple[Call, ...] = ()
    #: Why the suite does not detect the mutant; empty if it does.
    escapes = ""
    #: Fields in which the declared conventions differ from the plain layer's.
    declares: Dict[str, Any] = {}
    #: Whether it may end or stall its process, and so needs its own process.
    isolated = False

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
        #: training steps and inference calls so far, including the current one
        self.steps = self.inferences = 0

    # --- parameters and inputs --------------------------------------------------------------------------------------

    def wide(self, channels: Array) -> Array:
        """A (C,) array in the working precision, broadcastable against x."""
        return np.asarray(channels).astype(self.work).reshape(self.config.channel_shape)

    def gamma(self) -> Array:
        """The scale."""
        return self.wide(np.ones(self.config.channels) if self.raw_gamma is None else self.raw_gamma)

    def beta(self) -> Array:
        """The shift."""
        return self.wide(np.zeros(self.config.channels) if self.raw_beta is None else self.raw_beta)

    def epsilon(self) -> Array:
        """The term inside the root."""
        return self.work.type(self.config.epsilon)

    def values(self, array: Array) -> Array:
        """An input in the working precision."""
        return array.astype(self.work)

    def cotangent(self, dy: Array) -> Array:
        """dy in the working precision."""
        return self.values(dy)

    def count(self, x: Array) -> int:
        """Elements per channel."""
        return int(x.size // self.config.channels)

    def result_dtype(self, x: Array) -> Any:
        """The dtype of y: x's, and of integers the working precision."""
        return self.work if x.dtype.kind in "iub" else x.dtype

    def lanes(self, x: Array) -> Array:
        """The values of each channel as a row, packed: shape (C, count). NumPy adds along packed rows pairwise, across rows not."""
        return np.ascontiguousarray(np.moveaxis(x, self.config.channel_axis, 0).reshape(self.config.channels, -1))

    def broad(self, channels: Array) -> Array:
        """A (C,) array, broadcastable against x, in its own dtype."""
        return channels.reshape(self.config.channel_shape)

    # --- statistics -------------------------------------------------------------------------------------------------

    def average(self, x: Array) -> Array:
        """The mean over all axes but the channel axis."""
        return self.broad(self.lanes(x).mean(axis=1))

    def total(self, x: Array) -> Array:
        """The sum over all axes but the channel axis, shape (C,)."""
        return self.lanes(x).sum(axis=1)

    def moments(self, x: Array) -> Tuple[Array, Array]:
        """Mean and population variance."""
        mean = self.average(x)
        return mean, self.broad(self.lanes(np.square(x - mean)).mean(axis=1))

    def training_statistics(self, x: Array) -> Tuple[Array, Array]:
        """The statistics that normalise in training."""
        return self.moments(x)

    def backward_statistics(self, x: Array) -> Tuple[Array, Array]:
        """The statistics used by the backward pass of training."""
        return self.training_statistics(x)

    def inference_statistics(self, x: Array) -> Tuple[Array, Array]:
        """The statistics that normalise in inference."""
        return self.wide(self.mean), self.wide(self.var)

    def inv_std(self, var: Array) -> Array:
        """1 / sqrt(var + epsilon)."""
        return 1 / np.sqrt(var + self.epsilon())

    def backward_inv_std(self, var: Array) -> Array:
        """The same, in the backward pass of training."""
        return self.inv_std(var)

    def inference_inv_std(self, var: Array) -> Array:
        """The same, in inference."""
        return self.inv_std(var)

    def output(self, x: Array, mean: Array, inv_std: Array) -> Array:
        """Normalised, scaled, shifted."""
        return (x - mean) * inv_std * self.gamma() + self.beta()

    # --- running averages -------------------------------------------------------------------------------------------

    def decay(self) -> Array:
        """The weight of the old value."""
        return self.work.type(self.config.decay)

    def averaged(self, old: Array, new: Array) -> Array:
        """decay * old + (1 - decay) * new."""
        return self.decay() * old + (1 - self.decay()) * new

    def corrected(self, var: Array, count: int) -> Array:
        """The variance that enters the running variance."""
        return var * self.work.type(count / (count - 1)) if count > 1 else var

    def new_mean(self, old: Array, mean: Array, count: int) -> Array:
        """The running mean after a step."""
        return self.averaged(old, mean)

    def new_var(self, old: Array, var: Array, count: int) -> Array:
        """The running variance after a step."""
        return self.averaged(old, self.corrected(var, count))

    def update(self, x: Array) -> None:
        """Move the running statistics."""
        (mean, var), count = self.moments(x), self.count(x)
        self.store(self.new_mean(self.wide(self.mean), mean, count), self.new_var(self.wide(self.var), var, count))

    def store(self, mean: Array, var: Array) -> None:
        """Write the running statistics, in place."""
        self.mean[:] = mean.reshape(-1)
        self.var[:] = var.reshape(-1)

    # --- gradients --------------------------------------------------------------------------------------------------

    def training_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """dx through the statistics."""
        return self.gamma() * inv_std * (dy - self.average(dy) - zhat * self.average(dy * zhat))

    def inference_dx(self, dy: Array, zhat: Array, inv_std: Array) -> Array:
        """dx with constant statistics."""
        return self.gamma() * inv_std * dy

    def parameter_gradients(self, dy: Array, zhat: Array, inv_std: Array) -> Tuple[Array, Array]:
        """dgamma and dbeta, shape (C,)."""
        return self.total(dy * zhat), self.total(dy)

    def gradients(self, x: Array, y: Array, dx: Array, dgamma: Array, dbeta: Array) -> Gradients:
        """The gradients, in the dtypes of their arguments."""
        parameters = [g.astype(self.mean.dtype) if self.config.affine else None for g in (dgamma, dbeta)]
        return Gradients(y, dx.astype(x.dtype), *parameters)

    # --- the contract -----------------------------------------------------------------------------------------------

    def forward(self, x: Array) -> Array:
        """The forward pass of training, with or without gradients."""
        self.steps += 1
        if x.size == 0:
            return x.astype(self.result_dtype(x))
        wide = self.values(x)
        mean, var = self.training_statistics(wide)
        y = self.output(wide, mean, self.inv_std(var))
        self.update(wide)
        return y.astype(self.result_dtype(x))

    def infer(self, x: Array) -> Array:
        """The forward pass of inference, with or without gradients."""
        self.inferences += 1
        wide = self.values(x)
        mean, var = self.inference_statistics(wide)
        return self.output(wide, mean, self.inference_inv_std(var)).astype(self.result_dtype(x))

    def training(self, x: Array) -> Array:
        """The forward pass of training alone."""
        return self.forward(x)

    def inference(self, x: Array) -> Array:
        """The forward pass of inference alone."""
        return self.infer(x)

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        """Forward and backward in training."""
        y = self.forward(x)
        if x.size == 0:
            zero = np.zeros(self.config.channels, self.mean.dtype)
            return self.gradients(x, y, x.copy(), zero, zero.copy())
        return self.gradients(x, y, *self.backward(self.values(x), self.cotangent(dy)))

    def backward(self, x: Array, dy: Array) -> Tuple[Array, Array, Array]:
        """dx, dgamma and dbeta of training, in the working precision."""
        mean, var = self.backward_statistics(x)
        inv_std = self.backward_inv_std(var)
        zhat = (x - mean) * inv_std
        dx = self.training_dx(dy, zhat, inv_std)
        dgamma, dbeta = self.parameter_gradients(dy, zhat, inv_std)
        return dx, dgamma, dbeta

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        """Forward and backward in inference."""
        y = self.infer(x)
        wide, cotangent = self.values(x), self.cotangent(dy)
        mean, var = self.inference_statistics(wide)
        inv_std = self.inference_inv_std(var)
        zhat = (wide - mean) * inv_std
        dx = self.inference_dx(cotangent, zhat, inv_std)
        return self.gradients(x, y, dx, *self.parameter_gradients(cotangent, zhat, inv_std))

    def state(self) -> State:
        """The running statistics."""
        return State(self.mean, self.var)
