"""``keras``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on the TensorFlow backend, eager.

    keras.remat         the former under ``keras.remat``
    keras.adapt         the latter, adapted to one tensor in place of a data set
    keras.adapt.array   the same, adapted to one NumPy array
    keras.adapt.clone   a clone of a layer that was adapted to one tensor, with its weights by set_weights

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Mapping, Sequence

from bnspec.backends.keras.common import (
    SCALER_ONLY,
    ArrayScaler,
    CarriedScaler,
    NormScaler,
    TensorScaler,
    built_layer,
    policy,
)
from bnspec.backends.keras.network import KerasNetwork
from bnspec.backends.keras.over_tensorflow import NormLayer, TensorflowKeras
from bnspec.backends.tensorflow.layer_norm import TapedLayerNorm, keras_layer
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, Tangent
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind

#: Why a form of the layer declines what does not depend on the form.
OTHERS = "this is asked of the backend keras"


class KerasLayer(TensorflowKeras):
    """The Keras layers."""

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


class KerasRemat(TensorflowKeras):
    """``keras.layers.BatchNormalization`` under ``keras.remat``, which computes it again in the backward pass."""

    def new_layer(self, config: LayerConfig) -> RematLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return RematLayer(self.tf, self.keras, config, built_layer(self.keras, config))


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


class KerasClone(KerasTensor):
    """``keras.layers.Normalization``, cloned after it was adapted."""

    def scaler(self, config: LayerConfig) -> Any:
        """Input normalization by ``keras.layers.Normalization``."""
        return CarriedScaler(self.keras, config)
