"""``keras``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on the TensorFlow backend, eager.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import functools
from typing import Any, Mapping, Sequence

from bnspec.backends.keras_common import (
    assign,
    built_layer,
    cloned_layer,
    keras_mask,
    not_fitted,
    open_keras,
    policy,
    restored_layer,
)
from bnspec.backends.keras_network import KerasNetwork
from bnspec.backends.tensorflow_common import TensorflowAdapter, TensorflowLayer
from bnspec.case import PARAMETERS
from bnspec.contract import Gradients, LayerConfig, Profile, Scaler, State


class KerasLayer(TensorflowAdapter):
    """The Keras layers; KERAS_BACKEND is set to tensorflow before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    profile = Profile(
        checks_arguments=True,
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-3,
        default_decay=0.99,
        frozen_gradients="constants",
        count_one="biased",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        layouts="normalised",
        mutable_tensors=False,
        input_normalization=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("tensorflow")

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NormLayer:
        """A layer whose weights are assigned these tensors."""
        new = self.new_layer(config)
        assign(new.layer, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> NormLayer:
        """The layer as constructed, and built for x's rank and channels."""
        return NormLayer(self.tf, self.keras, config, built_layer(self.keras, config))

    def network(self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]) -> KerasNetwork:
        """Layers around this adapter's layer."""
        norm = self.layer(config, *(values[n] for n in PARAMETERS)).layer
        return KerasNetwork(self.tf, self.keras, kind, norm, learning_rate, values)

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.tf, self.keras, config)


class NormLayer(TensorflowLayer):
    """One ``keras.layers.BatchNormalization``."""

    def __init__(self, tf: Any, keras: Any, config: LayerConfig, layer: Any) -> None:
        super().__init__(tf)
        self.keras, self.config, self.layer = keras, config, layer

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.layer(x, training=True)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.layer(x, training=False)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass with a mask, which Keras takes without the last axis. Raises Declined for other axes."""
        return self.layer(x, training=True, mask=keras_mask(self.config, mask))

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.gradients_of(lambda x: self.training_masked(x, mask), x, dy)

    def parameters(self) -> Sequence[Any]:
        """TensorFlow's variables of the weights that are trainable now."""
        return [weight.value for weight in self.layer.trainable_weights]

    def state(self) -> State:
        """The running statistics."""
        return State(self.layer.moving_mean.value, self.layer.moving_variance.value)

    def restored(self) -> NormLayer:
        """The layer of a model that was saved to a file and loaded."""
        return NormLayer(self.tf, self.keras, self.config, restored_layer(self.keras, self.config, self.layer))

    def copied(self) -> NormLayer:
        """The layer of a cloned model, which is given the same weights."""
        return NormLayer(self.tf, self.keras, self.config, cloned_layer(self.keras, self.config, self.layer))

    def freeze(self, frozen: bool) -> None:
        """Set ``trainable``, by which the layer is run in inference mode."""
        self.layer.trainable = not frozen

    def set_decay(self, decay: float) -> None:
        """Set the layer's momentum."""
        self.layer.momentum = decay


class NormScaler(Scaler):
    """One ``keras.layers.Normalization``, and a second one that inverts it."""

    def __init__(self, tf: Any, keras: Any, config: LayerConfig) -> None:
        self.tf, self.keras, self.config = tf, keras, config
        self.forward: Any = not_fitted
        self.backward: Any = not_fitted

    def fit(self, chunks: Sequence[Any]) -> None:
        """Adapt to a dataset whose batches are the chunks, and give what was learned to the inverting layer."""
        options = {"axis": self.config.channel_axis, "dtype": policy(self.config)}
        batches = [self.tf.data.Dataset.from_tensors(chunk) for chunk in chunks]
        forward = self.keras.layers.Normalization(**options)
        forward.adapt(functools.reduce(lambda first, second: first.concatenate(second), batches))
        mean, variance, _ = forward.get_weights()
        self.forward = forward
        self.backward = self.keras.layers.Normalization(mean=mean, variance=variance, invert=True, **options)

    def transform(self, x: Any) -> Any:
        """(x - mean) / max(sqrt(variance), 1e-7), by the layer."""
        return self.forward(x)

    def inverse(self, y: Any) -> Any:
        """mean + y * max(sqrt(variance), 1e-7), by the inverting layer."""
        return self.backward(y)

    def statistics(self) -> State:
        """The adapted mean and variance."""
        mean, variance, _ = self.forward.weights
        return State(mean.value, variance.value)
