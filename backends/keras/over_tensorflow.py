"""``keras.layers.BatchNormalization`` on the TensorFlow backend, eager: what the forms of it share."""

from __future__ import annotations

from typing import Any

from bnspec.backends.keras.common import (
    CONVENTIONS,
    BuildsLayers,
    StatefulLayer,
    built_layer,
    keras_mask,
    open_keras,
)
from bnspec.backends.tensorflow.common import TensorflowAdapter, TensorflowLayer, connected
from bnspec.backends.worker.mode_layer import GRADIENTS
from bnspec.contract import Gradients, LayerConfig


class TensorflowKeras(BuildsLayers, TensorflowAdapter):
    """``keras.layers.BatchNormalization``; KERAS_BACKEND is set to tensorflow before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("tensorflow")

    def new_layer(self, config: LayerConfig) -> Any:
        """The layer as constructed, then built for x's rank and channels."""
        return NormLayer(self.tf, self.keras, config, built_layer(self.keras, config))


class NormLayer(StatefulLayer, TensorflowLayer):
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

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward of <dy, y> plus the moving statistics, read while the tape records."""
        parameters = self.parameters()
        with self.tf.GradientTape() as tape:
            tape.watch([x, *parameters])
            y = self.training(x)
            read = [self.tf.convert_to_tensor(s) for s in self.state()]
        cotangents = [dy, *map(self.tf.ones_like, read)]
        found = connected(tape.gradient([y, *read], [x, *parameters], output_gradients=cotangents), GRADIENTS)
        return Gradients(y, found[0], *(found[1:] if parameters else (None, None)))

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass with a mask, which Keras takes without the channel axis."""
        return self.layer(x, training=True, mask=keras_mask(self.config, mask))

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.gradients_of(lambda x: self.training_masked(x, mask), x, dy)

    def over(self, layer: Any) -> NormLayer:
        """The same configuration around another Keras layer."""
        return NormLayer(self.tf, self.keras, self.config, layer)
