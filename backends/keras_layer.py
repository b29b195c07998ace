"""``keras``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on the TensorFlow backend, eager.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import Any, Mapping, Optional, Sequence, Tuple

from bnspec.backends.keras_network import KerasNetwork
from bnspec.backends.tensorflow_common import TensorflowAdapter, gradients
from bnspec.case import PARAMETERS
from bnspec.contract import Gradients, Layer, LayerConfig, Profile, Scaler, State
from bnspec.profiles import HALVES


class KerasLayer(TensorflowAdapter):
    """The Keras layers; KERAS_BACKEND is set to tensorflow before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    profile = Profile(
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
        os.environ["KERAS_BACKEND"] = "tensorflow"
        self.keras = importlib.import_module("keras")

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NormLayer:
        """A layer whose weights are assigned these tensors."""
        return NormLayer(self.tf, self.keras, config, gamma, beta, running_mean, running_var)

    def network(self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]) -> KerasNetwork:
        """Layers around this adapter's layer."""
        norm = self.layer(config, *(values[n] for n in PARAMETERS)).layer
        return KerasNetwork(self.tf, self.keras, kind, norm, learning_rate, values)

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.tf, self.keras, config)


def policy(config: LayerConfig) -> str:
    """The name of the Keras dtype policy with these dtypes of computation and of weights."""
    mixed = config.dtype in HALVES and config.parameter_dtype == "float32"
    return "mixed_" + config.dtype if mixed else config.dtype


def open_shape(config: LayerConfig) -> Tuple[Optional[int], ...]:
    """The shape of x as Keras builds from it: only the channel axis has an extent."""
    return tuple(config.channels if a == config.channel_axis else None for a in range(config.rank))


def not_fitted(_: Any) -> None:
    """What stands in for the layers of a scaler before its first fit that succeeds. Raises RuntimeError."""
    raise RuntimeError("no fit has succeeded: there are no statistics")


class NormLayer(Layer):
    """One ``keras.layers.BatchNormalization``."""

    def __init__(
        self, tf: Any, keras: Any, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any
    ) -> None:
        self.tf = tf
        self.layer = keras.layers.BatchNormalization(
            axis=config.channel_axis,
            momentum=config.decay,
            epsilon=config.epsilon,
            center=config.affine,
            scale=config.affine,
            dtype=policy(config),
        )
        self.layer.build(open_shape(config))
        if config.affine:
            self.layer.gamma.assign(gamma)
            self.layer.beta.assign(beta)
        self.layer.moving_mean.assign(running_mean)
        self.layer.moving_variance.assign(running_var)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.layer(x, training=True)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.layer(x, training=False)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in training mode."""
        return gradients(self.tf, self.training, x, dy, self.layer.trainable_weights)

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in inference mode."""
        return gradients(self.tf, self.inference, x, dy, self.layer.trainable_weights)

    def state(self) -> State:
        """The running statistics."""
        return State(self.layer.moving_mean.value, self.layer.moving_variance.value)


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
