"""``tensorflow.nn``: the layer written by hand from ``tf.nn.moments`` and ``tf.nn.batch_normalization``.

    tensorflow.nn.sufficient   the same from ``tf.nn.sufficient_statistics`` and ``tf.nn.normalize_moments``, without a shift
    tensorflow.nn.recomputed   as ``tensorflow.nn``, under ``tf.recompute_grad``

The running statistics are variables updated by user code; neither function handles them.

Source: https://www.tensorflow.org/api_docs/python/tf/nn/batch_normalization
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Mapping, Sequence

from bnspec.backends.tensorflow.common import TensorflowAdapter
from bnspec.backends.tensorflow.layer_norm import TapedLayerNorm, moments
from bnspec.backends.tensorflow.moments_layer import CONVENTIONS, VariablesLayer
from bnspec.backends.tensorflow.network import TensorflowNetwork
from bnspec.contract import Declined, Gradients, LayerConfig, Scaler, SecondOrder, State, Tangent
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import NetworkKind


class TensorflowNN(TensorflowAdapter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization``, eager.

    Everything is computed in x's dtype, except that ``tf.nn.moments`` reduces float16 (not bfloat16) in float32 and
    rounds the moments to float16. Neither function has a default epsilon or a moving average.
    """

    conventions = dataclasses.replace(CONVENTIONS, input_normalization=True, integers=True)

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> VariablesLayer:
        """A layer whose four arrays become variables."""
        running = State(running_mean, running_var)
        return VariablesLayer(self.tf, config.channel_axis, config.epsilon, config.decay, gamma, beta, running)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TensorflowNetwork:
        """A network of operations around this layer."""
        layer = None if kind.endswith("_plain") else self.layer(config, *(values[n] for n in PARAMETERS))
        return TensorflowNetwork(self.tf, kind, layer, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TapedLayerNorm:
        """The same two functions over the last axis."""
        return moments(self.tf, config, gamma, beta)

    def scaler(self, config: LayerConfig) -> NNScaler:
        """Input normalization by merged ``tf.nn.moments``."""
        return NNScaler(self.tf, config)


class TensorflowSufficient(TensorflowNN):
    """``tf.nn.sufficient_statistics`` and ``tf.nn.normalize_moments``, eager."""

    conventions = dataclasses.replace(CONVENTIONS, integers=True)

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> VariablesLayer:
        """A layer whose four arrays become variables."""
        running = State(running_mean, running_var)
        return SufficientLayer(self.tf, config.channel_axis, config.epsilon, config.decay, gamma, beta, running)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TensorflowNetwork:
        """Raises Declined: ``tensorflow.nn`` has the networks."""
        raise Declined("the networks are those of tensorflow.nn")

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TapedLayerNorm:
        """Raises Declined: ``tensorflow.nn`` has it."""
        raise Declined("layer normalization is that of tensorflow.nn")

    def scaler(self, config: LayerConfig) -> NNScaler:
        """Raises Declined: ``tensorflow.nn`` has it."""
        raise Declined("input normalization is that of tensorflow.nn")


class SufficientLayer(VariablesLayer):
    """Moments from sums and sums of squares."""

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        count, total, squares, _ = self.tf.nn.sufficient_statistics(x, self.reduced(x), keepdims=True)
        return self.trained(x, *self.tf.nn.normalize_moments(count, total, squares, None))

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined("sufficient statistics take no mask")

    def over(self, gamma: Any, beta: Any, running: State) -> SufficientLayer:
        """A layer like this one over new variables with these values."""
        return SufficientLayer(self.tf, self.axis, self.epsilon, self.decay, gamma, beta, running)


class TensorflowRecomputed(TensorflowSufficient):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a function whose activations are recomputed in the backward pass."""

    conventions = CONVENTIONS

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> VariablesLayer:
        """A layer whose four arrays become variables."""
        running = State(running_mean, running_var)
        return RecomputedLayer(self.tf, config.channel_axis, config.epsilon, config.decay, gamma, beta, running)


class RecomputedLayer(VariablesLayer):
    """Both passes under ``tf.recompute_grad``."""

    def forward(self, mode: Mode) -> Callable[[Any], Any]:
        """The forward pass in ``mode``, of which nothing is kept for the backward pass."""
        return self.tf.recompute_grad(super().forward(mode))

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("third derivatives are those of tensorflow.nn")

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("gradients of tangents are those of tensorflow.nn")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined("second derivatives are those of tensorflow.nn")

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Raises Declined."""
        raise Declined("tf.recompute_grad defines a gradient, and no forward mode")

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("masks are those of tensorflow.nn")

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined("masks are those of tensorflow.nn")

    def over(self, gamma: Any, beta: Any, running: State) -> RecomputedLayer:
        """A layer like this one over new variables with these values."""
        return RecomputedLayer(self.tf, self.axis, self.epsilon, self.decay, gamma, beta, running)


class NNScaler(Scaler):
    """Input normalization in x's dtype; constant features are divided by 1.

    TensorFlow computes the moments of one chunk; this class merges them, with w the chunk's share of all values so far:

        mean = mean + w * delta                                 delta = chunk_mean - mean
        var  = (1 - w) * var + w * chunk_var + w * (1 - w) * delta^2

    Source: Chan, Golub and LeVeque 1979.
    """

    def __init__(self, tf: Any, config: LayerConfig) -> None:
        self.tf, self.config = tf, config

    def fit(self, chunks: Sequence[Any]) -> None:
        """Learn the moments of all non-empty chunks; of integers as one chunk, since theirs are integers, which nothing merges.

        Raises ValueError: all chunks are empty.
        """
        if not chunks[0].dtype.is_floating:
            chunks = [self.tf.concat(chunks, self.config.reduce_axes[0])]
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
        if not self.var.dtype.is_floating:  # the moments of integers are theirs; nothing can be scaled by them
            return
        # a variance of at most rounding noise marks a constant feature, which is divided by 1
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
