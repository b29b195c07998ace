"""``keras``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on the TensorFlow backend, eager.

    keras.remat         the former under ``keras.remat``
    keras.adapt         the latter, adapted to one tensor in place of a data set
    keras.adapt.array   the same, adapted to one NumPy array

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Mapping, Sequence

from bnspec.backends.keras.common import (
    CONVENTIONS,
    SCALER_ONLY,
    ArrayScaler,
    NormScaler,
    StatefulLayer,
    TensorScaler,
    assign,
    built_layer,
    keras_mask,
    open_keras,
    policy,
)
from bnspec.backends.keras.network import KerasNetwork
from bnspec.backends.tensorflow.common import TensorflowAdapter, TensorflowLayer, connected
from bnspec.backends.tensorflow.layer_norm import TapedLayerNorm, keras_layer
from bnspec.backends.worker.mode_layer import GRADIENTS
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, Tangent
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind

#: Why a layer that is computed again declines what does not depend on that.
OTHERS = "this is asked of the backend keras"


class KerasLayer(TensorflowAdapter):
    """The Keras layers; KERAS_BACKEND is set to tensorflow before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("tensorflow")

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> NormLayer:
        """A layer whose weights are assigned these tensors."""
        new = self.new_layer(config)
        assign(new.layer, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> NormLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return NormLayer(self.tf, self.keras, config, built_layer(self.keras, config))

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> KerasNetwork:
        """A network around this adapter's layer."""
        norm = None if kind.endswith("_plain") else self.layer(config, *(values[n] for n in PARAMETERS)).layer
        return KerasNetwork(self.tf, self.keras, kind, norm, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TapedLayerNorm:
        """``keras.layers.LayerNormalization``."""
        return keras_layer(self.tf, self.keras, config, policy(config), gamma, beta)

    def scaler(self, config: LayerConfig) -> DatasetScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return DatasetScaler(self.tf, self.keras, config)


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


class KerasRemat(KerasLayer):
    """``keras.layers.BatchNormalization`` under ``keras.remat``, which computes it again in the backward pass."""

    def new_layer(self, config: LayerConfig) -> RematLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return RematLayer(self.tf, self.keras, config, built_layer(self.keras, config))

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> KerasNetwork:
        """Raises Declined: ``keras`` has the networks."""
        raise Declined(OTHERS)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TapedLayerNorm:
        """Raises Declined: ``keras`` has it."""
        raise Declined(OTHERS)

    def scaler(self, config: LayerConfig) -> DatasetScaler:
        """Raises Declined: ``keras`` has it."""
        raise Declined(OTHERS)


class RematLayer(NormLayer):
    """One ``keras.layers.BatchNormalization``, computed again in the backward pass."""

    def forward(self, mode: Mode) -> Callable[[Any], Any]:
        """The forward pass in ``mode``, of which nothing is kept for the backward pass."""
        return self.keras.remat(super().forward(mode))

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined(OTHERS)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Raises Declined."""
        raise Declined("tf.recompute_grad, by which keras.remat works, defines a gradient and no forward mode")

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(OTHERS)

    def over(self, layer: Any) -> RematLayer:
        """The same configuration around another Keras layer."""
        return RematLayer(self.tf, self.keras, self.config, layer)


class DatasetScaler(NormScaler):
    """Input normalization adapted to a tf.data dataset."""

    def __init__(self, tf: Any, keras: Any, config: LayerConfig) -> None:
        super().__init__(keras, config)
        self.tf = tf

    def dataset(self, chunks: Sequence[Any]) -> Any:
        """A dataset whose batches are the chunks."""
        batches = [self.tf.data.Dataset.from_tensors(chunk) for chunk in chunks]
        return functools.reduce(lambda first, second: first.concatenate(second), batches)


class KerasTensor(KerasLayer):
    """``keras.layers.Normalization``, adapted to one tensor."""

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Raises Declined."""
        raise Declined(SCALER_ONLY)

    def new_layer(self, config: LayerConfig) -> Any:
        """Raises Declined."""
        raise Declined(SCALER_ONLY)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> KerasNetwork:
        """Raises Declined."""
        raise Declined(SCALER_ONLY)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TapedLayerNorm:
        """Raises Declined."""
        raise Declined(SCALER_ONLY)

    def scaler(self, config: LayerConfig) -> Any:
        """Input normalization by ``keras.layers.Normalization``."""
        return TensorScaler(self.keras, config)


class KerasArray(KerasTensor):
    """``keras.layers.Normalization``, adapted to one NumPy array: the same on every Keras backend."""

    def scaler(self, config: LayerConfig) -> Any:
        """Input normalization by ``keras.layers.Normalization``."""
        return ArrayScaler(self.keras, config)
