"""``keras.numpy``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' NumPy backend.

    keras.ops.numpy   the layer written with ``keras.ops.moments`` and ``keras.ops.batch_normalization``

The backend has no derivatives.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict

import numpy as np

from bnspec.backends.keras.common import (
    CONVENTIONS,
    OPS_CONVENTIONS,
    BuildsLayers,
    NormScaler,
    StatefulLayer,
    built_layer,
    keras_mask,
    moments_but,
    open_keras,
)
from bnspec.backends.worker.forward_only import ForwardOnly
from bnspec.contract import Declined, LayerConfig, State


class KerasNumpy(BuildsLayers):
    """The Keras layers; KERAS_BACKEND is set to numpy before Keras is imported."""

    framework = "keras"
    conventions = dataclasses.replace(CONVENTIONS, gradient_modes=())

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("numpy")

    def versions(self) -> Dict[str, str]:
        """Versions of Keras and of NumPy."""
        return {"keras": str(self.keras.__version__), "numpy": str(np.__version__)}

    def new_layer(self, config: LayerConfig) -> NormLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return NormLayer(self.keras, config, built_layer(self.keras, config))

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.keras, config)


class NormLayer(StatefulLayer, ForwardOnly):
    """One ``keras.layers.BatchNormalization``."""

    def __init__(self, keras: Any, config: LayerConfig, layer: Any) -> None:
        self.keras, self.config, self.layer = keras, config, layer

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.layer(x, training=True)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.layer(x, training=False)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass with a mask, which Keras takes without the channel axis."""
        return self.layer(x, training=True, mask=keras_mask(self.config, mask))

    def over(self, layer: Any) -> NormLayer:
        """The same configuration around another Keras layer."""
        return NormLayer(self.keras, self.config, layer)


class KerasOpsNumpy(KerasNumpy):
    """The two functions."""

    conventions = dataclasses.replace(OPS_CONVENTIONS, gradient_modes=())

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """A layer over these arrays."""
        return OpsLayer(self.keras, config, gamma, beta, State(running_mean, running_var))

    def new_layer(self, config: LayerConfig) -> Any:
        """Raises Declined."""
        raise Declined("functions have no parameters of their own")

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Raises Declined: ``keras.numpy`` has it."""
        raise Declined("input normalization is that of keras.numpy")


class OpsLayer(ForwardOnly):
    """The two functions, and the moving average that their user writes."""

    def __init__(self, keras: Any, config: LayerConfig, gamma: Any, beta: Any, running: State) -> None:
        self.keras, self.config, self.gamma, self.beta, self.running = keras, config, gamma, beta, running

    def normalise(self, x: Any, by: State) -> Any:
        """y of x by these statistics."""
        options = {"epsilon": self.config.epsilon, "offset": self.beta, "scale": self.gamma}
        return self.keras.ops.batch_normalization(x, *by, axis=self.config.channel_axis, **options)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        batch = State(*moments_but(self.keras.ops, x, self.config.channel_axis))
        y, decay = self.normalise(x, batch), self.config.decay
        if np.size(x):  # the moments of an empty batch are NaN
            pairs = zip(self.running, batch)
            self.running = State(*((decay * old + (1.0 - decay) * new).astype(old.dtype) for old, new in pairs))
        return y

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.normalise(x, self.running)

    def state(self) -> State:
        """The running statistics."""
        return self.running

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)
