"""``keras.torch``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' PyTorch backend, eager.

Gradients are autograd's, as in Keras' own training loop on this backend.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Sequence

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
from bnspec.backends.torch_common import TorchAdapter, TorchLayer
from bnspec.contract import Gradients, LayerConfig, Profile, Scaler, State


class KerasTorch(TorchAdapter):
    """The Keras layers; KERAS_BACKEND is set to torch, and Keras' device to this one, before Keras is imported.

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
        input_normalization=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        os.environ["KERAS_TORCH_DEVICE"] = str(self.place)
        self.keras = open_keras("torch")

    def versions(self) -> Dict[str, str]:
        """Keras, and the PyTorch below it."""
        return dict(super().versions(), keras=str(self.keras.__version__))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NormLayer:
        """A layer whose weights are assigned these tensors."""
        new = self.new_layer(config)
        assign(new.layer, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> NormLayer:
        """The layer as constructed, and built for x's rank and channels."""
        return NormLayer(self.torch, self.keras, config, built_layer(self.keras, config))

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.torch, self.keras, config)


class NormLayer(TorchLayer):
    """One ``keras.layers.BatchNormalization``."""

    def __init__(self, torch: Any, keras: Any, config: LayerConfig, layer: Any) -> None:
        super().__init__(torch)
        self.keras, self.config, self.layer = keras, config, layer

    def forward(self, x: Any, mode: str, mask: Any = None) -> Any:
        """The layer's call."""
        return self.layer(x, training=mode == "training", mask=mask)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The layer's call with a mask, which Keras takes without the last axis."""
        with self.torch.no_grad():
            return self.forward(x, "training", keras_mask(self.config, mask))

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """The same with its gradients."""
        given = keras_mask(self.config, mask)
        return self.gradients_of(lambda x: self.forward(x, "training", given), x, dy)

    def parameters(self) -> List[Any]:
        """The tensors of the weights that are trainable now."""
        return [weight.value for weight in self.layer.trainable_weights]

    def state(self) -> State:
        """The running statistics."""
        return State(self.layer.moving_mean.value, self.layer.moving_variance.value)

    def restored(self) -> NormLayer:
        """The layer of a model that was saved to a file and loaded."""
        return NormLayer(self.torch, self.keras, self.config, restored_layer(self.keras, self.config, self.layer))

    def copied(self) -> NormLayer:
        """The layer of a cloned model, which is given the same weights."""
        return NormLayer(self.torch, self.keras, self.config, cloned_layer(self.keras, self.config, self.layer))

    def freeze(self, frozen: bool) -> None:
        """Set ``trainable``, by which the layer is run in inference mode."""
        self.layer.trainable = not frozen

    def set_decay(self, decay: float) -> None:
        """Set the layer's momentum."""
        self.layer.momentum = decay


class NormScaler(Scaler):
    """One ``keras.layers.Normalization``, and a second one that inverts it."""

    def __init__(self, torch: Any, keras: Any, config: LayerConfig) -> None:
        self.torch, self.keras, self.config = torch, keras, config
        self.forward: Any = not_fitted
        self.backward: Any = not_fitted

    def fit(self, chunks: Sequence[Any]) -> None:
        """Adapt to the list of batches, and give what was learned to the inverting layer."""
        options = {"axis": self.config.channel_axis, "dtype": policy(self.config)}
        forward = self.keras.layers.Normalization(**options)
        forward.adapt(list(chunks))
        mean, variance, _ = forward.get_weights()
        self.forward = forward
        self.backward = self.keras.layers.Normalization(mean=mean, variance=variance, invert=True, **options)

    def transform(self, x: Any) -> Any:
        """(x - mean) / max(sqrt(variance), 1e-7), by the layer."""
        with self.torch.no_grad():
            return self.forward(x)

    def inverse(self, y: Any) -> Any:
        """mean + y * max(sqrt(variance), 1e-7), by the inverting layer."""
        with self.torch.no_grad():
            return self.backward(y)

    def statistics(self) -> State:
        """The adapted mean and variance."""
        mean, variance, _ = self.forward.weights
        return State(mean.value, variance.value)
