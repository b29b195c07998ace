"""``keras.openvino``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' OpenVINO backend.

Calls build a graph of OpenVINO, which is compiled and run when its values are read: they are read at once here. Keras says that the
backend is for inference only.

Source: https://keras.io/getting_started/#configuring-your-backend
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Dict, Sequence

import numpy as np

from bnspec.backends.keras.common import (
    CONVENTIONS,
    BuildsLayers,
    NormScaler,
    StatefulLayer,
    built_layer,
    open_keras,
)
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Declined, LayerConfig, State


class KerasOpenvino(BuildsLayers):
    """The Keras layers; KERAS_BACKEND is set to openvino before Keras is imported. Tensors are NumPy arrays."""

    framework = "keras"
    conventions = dataclasses.replace(CONVENTIONS, gradient_modes=())

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("openvino")

    def versions(self) -> Dict[str, str]:
        """Versions of Keras, of OpenVINO and of NumPy."""
        openvino = importlib.import_module("openvino")
        return {
            "keras": str(self.keras.__version__),
            "openvino": str(openvino.__version__).partition("-")[0],
            "numpy": str(np.__version__),
        }

    def new_layer(self, config: LayerConfig) -> NormLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return NormLayer(self.keras, config, built_layer(self.keras, config))

    def scaler(self, config: LayerConfig) -> ReadScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return ReadScaler(self.keras, config)


class NormLayer(StatefulLayer, InferenceOnly):
    """One ``keras.layers.BatchNormalization``."""

    def __init__(self, keras: Any, config: LayerConfig, layer: Any) -> None:
        self.keras, self.config, self.layer = keras, config, layer

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.keras.ops.convert_to_numpy(self.layer(x, training=False))

    def state(self) -> State:
        """The running statistics."""
        return State(*map(self.keras.ops.convert_to_numpy, (self.layer.moving_mean, self.layer.moving_variance)))

    def over(self, layer: Any) -> NormLayer:
        """The same configuration around another Keras layer."""
        return NormLayer(self.keras, self.config, layer)


class ReadScaler(NormScaler):
    """One ``keras.layers.Normalization``, whose results are read."""

    def dataset(self, chunks: Sequence[Any]) -> Any:
        """The one batch. Raises Declined: several are a dataset of TensorFlow's."""
        if len(chunks) != 1:
            raise Declined("adapt takes one array; for several batches it asks for a tf.data.Dataset")
        return chunks[0]

    def transform(self, x: Any) -> Any:
        """The layer's call."""
        return self.keras.ops.convert_to_numpy(super().transform(x))

    def inverse(self, y: Any) -> Any:
        """The inverting layer's call."""
        return self.keras.ops.convert_to_numpy(super().inverse(y))

    def statistics(self) -> State:
        """The adapted mean and variance."""
        return State(*map(self.keras.ops.convert_to_numpy, super().statistics()))
