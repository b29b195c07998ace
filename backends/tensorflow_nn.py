"""``tensorflow.nn``: the layer written by hand from ``tf.nn.moments`` and ``tf.nn.batch_normalization``.

The running statistics are variables that a moving average is assigned to; both functions leave them to the user.

Source: https://www.tensorflow.org/api_docs/python/tf/nn/batch_normalization
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Sequence

from bnspec.backends.tensorflow_common import TensorflowAdapter, TensorflowLayer, checkpointed
from bnspec.backends.tensorflow_network import TensorflowNetwork
from bnspec.case import PARAMETERS
from bnspec.contract import Gradients, LayerConfig, Profile, Scaler, State
from bnspec.precision import PRECISIONS


class TensorflowNN(TensorflowAdapter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``, eager.

    Everything is computed in x's dtype, save that ``tf.nn.moments`` reduces float16 (not bfloat16) in float32 and
    rounds the moments to float16. Neither function has a default epsilon or a moving average.
    """

    profile = Profile(
        checks_arguments=True,
        running_correction=0,
        momentum_weighs="none",
        count_one="biased",
        empty_batch="keeps_state",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        layouts="normalised",
        mutable_tensors=False,
        input_normalization=True,
    )

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NNLayer:
        """A layer whose four arrays become variables."""
        return NNLayer(self.tf, config, gamma, beta, running_mean, running_var)

    def network(
        self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TensorflowNetwork:
        """Operations around this layer."""
        layer = self.layer(config, *(values[n] for n in PARAMETERS))
        return TensorflowNetwork(self.tf, kind, layer, learning_rate, values)

    def scaler(self, config: LayerConfig) -> NNScaler:
        """Input normalization by merged ``tf.nn.moments``."""
        return NNScaler(self.tf, config)


class NNLayer(TensorflowLayer):
    """One batch-normalization layer."""

    def __init__(
        self, tf: Any, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any
    ) -> None:
        super().__init__(tf)
        self.config = config
        self.gamma = None if gamma is None else tf.Variable(gamma)
        self.beta = None if beta is None else tf.Variable(beta)
        self.running_mean = tf.Variable(running_mean, trainable=False)
        self.running_var = tf.Variable(running_var, trainable=False)

    def normalise(self, x: Any, mean: Any, var: Any) -> Any:
        """y of x by the given statistics; one-dimensional arguments are shaped to broadcast against x."""
        spread = [None if t is None else self.tf.reshape(t, self.config.channel_shape) for t in (self.beta, self.gamma)]
        return self.tf.nn.batch_normalization(x, mean, var, spread[0], spread[1], self.config.epsilon)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.trained(x, *self.tf.nn.moments(x, self.config.reduce_axes, keepdims=True))

    def trained(self, x: Any, mean: Any, var: Any) -> Any:
        """y of x by the batch's statistics, which enter the running ones."""
        y, decay = self.normalise(x, mean, var), self.config.decay
        if x.shape.num_elements():  # the moments of nothing are NaN
            self.running_mean.assign(self.running_mean * decay + self.tf.reshape(mean, [-1]) * (1.0 - decay))
            self.running_var.assign(self.running_var * decay + self.tf.reshape(var, [-1]) * (1.0 - decay))
        return y

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        shape = self.config.channel_shape
        return self.normalise(x, self.tf.reshape(self.running_mean, shape), self.tf.reshape(self.running_var, shape))

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass by ``tf.nn.weighted_moments``, with the weights 1 and 0."""
        weights = self.tf.cast(mask, x.dtype)
        return self.trained(x, *self.tf.nn.weighted_moments(x, self.config.reduce_axes, weights, keepdims=True))

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.gradients_of(lambda x: self.training_masked(x, mask), x, dy)

    def parameters(self) -> Sequence[Any]:
        """gamma and beta, where they exist."""
        return [self.gamma, self.beta] if self.config.affine else []

    def state(self) -> State:
        """The running statistics."""
        return State(self.running_mean, self.running_var)

    def restored(self) -> NNLayer:
        """A layer over variables that were saved and read back."""
        kept = {n: v for n, v in self.variables().items() if v is not None}
        return NNLayer(self.tf, self.config, **dict(self.variables(), **checkpointed(self.tf, kept)))

    def copied(self) -> NNLayer:
        """A layer over new variables with the same values."""
        return NNLayer(self.tf, self.config, **self.variables())

    def variables(self) -> Dict[str, Any]:
        """What the layer was built from and holds."""
        return {n: getattr(self, n) for n in ("gamma", "beta", "running_mean", "running_var")}

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class NNScaler(Scaler):
    """Input normalization in x's dtype; a constant feature is divided by 1.

    TensorFlow gives the moments of one chunk; they are merged, with w the chunk's share of all values so far:

        mean = mean + w * delta                                 delta = chunk_mean - mean
        var  = (1 - w) * var + w * chunk_var + w * (1 - w) * delta^2

    Source: Chan, Golub and LeVeque 1979.
    """

    def __init__(self, tf: Any, config: LayerConfig) -> None:
        self.tf, self.config = tf, config

    def fit(self, chunks: Sequence[Any]) -> None:
        """Learn the moments of all chunks that have values. Raises ValueError where none has."""
        count = 0
        self.mean: Any = None
        self.var: Any = None
        for chunk in chunks:
            size = chunk.shape.num_elements() // self.config.channels
            if size == 0:
                continue
            count += size
            mean, var = self.tf.nn.moments(chunk, self.config.reduce_axes, keepdims=True)
            if self.mean is None:
                self.mean, self.var = mean, var
                continue
            weight, delta = size / count, mean - self.mean
            self.mean = self.mean + weight * delta
            self.var = (1.0 - weight) * self.var + weight * var + weight * (1.0 - weight) * self.tf.square(delta)
        if self.mean is None:
            raise ValueError("the training set has no values")
        # a variance that is no more than rounding noise is a constant feature's: divided by 1
        reach = count * 2.0 * PRECISIONS[self.var.dtype.name].unit_roundoff
        noise = reach * self.var + self.tf.square(reach * self.mean)
        self.scale = self.tf.where(self.var <= noise, self.tf.ones_like(self.var), self.tf.sqrt(self.var))

    def transform(self, x: Any) -> Any:
        """(x - mean) / std."""
        return (x - self.mean) / self.scale

    def inverse(self, y: Any) -> Any:
        """y * std + mean."""
        return y * self.scale + self.mean

    def statistics(self) -> State:
        """The fitted mean and variance."""
        return State(self.tf.reshape(self.mean, [-1]), self.tf.reshape(self.var, [-1]))
