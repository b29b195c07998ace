"""``keras.torch``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' PyTorch backend, eager.

Gradients are autograd's, as in Keras' own training loop on this backend.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Dict

from bnspec.backends.keras.common import (
    CONVENTIONS,
    NormScaler,
    StatefulLayer,
    assign,
    built_layer,
    keras_mask,
    open_keras,
)
from bnspec.backends.torch.common import TorchAdapter, TorchLayer
from bnspec.contract import Gradients, LayerConfig
from bnspec.model.call import Mode


class KerasTorch(TorchAdapter):
    """The Keras layers; KERAS_BACKEND is set to torch, and Keras' device to this one, before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    conventions = dataclasses.replace(CONVENTIONS, layouts="strided", mutable_tensors=True)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        os.environ["KERAS_TORCH_DEVICE"] = str(self.place)
        self.keras = open_keras("torch")

    def versions(self) -> Dict[str, str]:
        """Versions of Keras and of PyTorch."""
        return dict(super().versions(), keras=str(self.keras.__version__))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NormLayer:
        """A layer whose weights are assigned these tensors."""
        new = self.new_layer(config)
        assign(new.layer, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> NormLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return NormLayer(self.torch, self.keras, config, built_layer(self.keras, config))

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.keras, config)


class NormLayer(StatefulLayer, TorchLayer):
    """One ``keras.layers.BatchNormalization``."""

    def __init__(self, torch: Any, keras: Any, config: LayerConfig, layer: Any) -> None:
        super().__init__(torch)
        self.keras, self.config, self.layer = keras, config, layer

    def forward(self, x: Any, mode: Mode, mask: Any = None) -> Any:
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

    def over(self, layer: Any) -> NormLayer:
        """The same configuration around another Keras layer."""
        return NormLayer(self.torch, self.keras, self.config, layer)
