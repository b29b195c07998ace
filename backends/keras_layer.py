"""``keras``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on the TensorFlow backend, eager.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import functools
import os
import tempfile
from typing import Any, Mapping, Sequence

from bnspec.backends.keras_common import built_layer, not_fitted, open_keras, open_shape, policy
from bnspec.backends.keras_network import KerasNetwork
from bnspec.backends.tensorflow_common import TensorflowAdapter, TensorflowLayer
from bnspec.case import PARAMETERS
from bnspec.contract import Declined, Gradients, LayerConfig, Profile, Scaler, State


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
        if config.affine:
            new.layer.gamma.assign(gamma)
            new.layer.beta.assign(beta)
        new.layer.moving_mean.assign(running_mean)
        new.layer.moving_variance.assign(running_var)
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
        if self.config.channel_axis != self.config.rank - 1:
            raise Declined("Keras expands the mask by a last axis: it reaches channels there only")
        return self.layer(x, training=True, mask=mask[..., 0])

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.gradients_of(lambda x: self.training_masked(x, mask), x, dy)

    def parameters(self) -> Sequence[Any]:
        """TensorFlow's variables of the weights that are trainable now."""
        return [weight.value for weight in self.layer.trainable_weights]

    def state(self) -> State:
        """The running statistics."""
        return State(self.layer.moving_mean.value, self.layer.moving_variance.value)

    def model(self) -> Any:
        """A model of this layer alone: what Keras saves and clones."""
        return self.keras.Sequential(
            [self.keras.Input(batch_shape=open_shape(self.config), dtype=self.config.dtype), self.layer]
        )

    def restored(self) -> NormLayer:
        """The layer of a model that was saved to a file and loaded."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "layer.keras")
            self.model().save(path)
            loaded = self.keras.saving.load_model(path)
        return NormLayer(self.tf, self.keras, self.config, loaded.layers[-1])

    def copied(self) -> NormLayer:
        """The layer of a cloned model, which is given the same weights."""
        model = self.model()
        clone = self.keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        return NormLayer(self.tf, self.keras, self.config, clone.layers[-1])

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
