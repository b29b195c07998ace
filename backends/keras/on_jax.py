"""``keras.jax``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' JAX backend.

    keras.jax.adapt         the latter, adapted to one tensor in place of batches
    keras.jax.adapt.clone   a clone of a layer that was adapted to one tensor, with its weights by set_weights

The layer runs ``stateless_call`` under jax.jit and is differentiated by JAX, as in Keras's own training loop on this
backend. Compiled once per shape and configuration: layers of one configuration share one Keras layer, used as a pure
function of its variables.

Source: https://keras.io/api/layers/base_layer/ (stateless_call) and
https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.backends.jax.pure_layer import Functions, Jitted, Parameters, PureLayer
from bnspec.backends.keras.common import (
    CONVENTIONS,
    SCALER_ONLY,
    CarriedScaler,
    NormScaler,
    TensorScaler,
    assign,
    built_layer,
    cloned_layer,
    keras_mask,
    open_keras,
    restored_layer,
)
from bnspec.contract import Declined, Gradients, LayerConfig, State
from bnspec.model.call import Mode


class KerasJax(JaxAdapter):
    """The Keras layers; KERAS_BACKEND is set to jax before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("jax")
        self.pool: Dict[Tuple[LayerConfig, bool], Jitted] = {}

    def versions(self) -> Dict[str, str]:
        """Versions of Keras and of JAX."""
        return dict(super().versions(), keras=str(self.keras.__version__))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> StatelessLayer:
        """These arrays as the variables of the configuration's layer."""
        return StatelessLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def new_layer(self, config: LayerConfig) -> StatelessLayer:
        """The layer's variables as constructed."""
        return self.layer_of(config, built_layer(self.keras, config))

    def layer_of(self, config: LayerConfig, layer: Any) -> StatelessLayer:
        """The variables of a Keras layer, with its momentum and epsilon."""
        config = dataclasses.replace(config, decay=layer.momentum, epsilon=layer.epsilon)
        gamma, beta = (None if v is None else v.value for v in (layer.gamma, layer.beta))
        return self.layer(config, gamma, beta, layer.moving_mean.value, layer.moving_variance.value)

    def jitted(self, config: LayerConfig, trainable: bool) -> Jitted:
        """The compiled functions of the configuration's layer."""
        if (config, trainable) not in self.pool:
            self.pool[config, trainable] = StatelessFunctions(self, config, trainable).jitted()
        return self.pool[config, trainable]

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.keras, config)


class StatelessFunctions(Functions):
    """The stateless_call of one ``keras.layers.BatchNormalization``."""

    def __init__(self, owner: KerasJax, config: LayerConfig, trainable: bool) -> None:
        super().__init__(owner.jax)
        self.config, self.layer = config, built_layer(owner.keras, config)
        self.layer.trainable = trainable

    def forward(
        self, x: Any, parameters: Parameters, running: State, *, mode: Mode, mask: Any = None
    ) -> Tuple[Any, State]:
        """The layer's call; a layer that is not trainable has only non-trainable variables."""
        weights = [p for p in parameters if p is not None]
        trainable, constant = (weights, []) if self.layer.trainable else ([], weights)
        options = {} if mask is None else {"mask": keras_mask(self.config, mask)}
        moving = [*constant, *running]
        y, after = self.layer.stateless_call(trainable, moving, x, training=mode == "training", **options)
        return y, State(*after[len(constant) :])


class StatelessLayer(PureLayer):
    """The variables of one ``keras.layers.BatchNormalization``."""

    def __init__(
        self, owner: KerasJax, config: LayerConfig, parameters: Parameters, running: State, trainable: bool = True
    ) -> None:
        super().__init__(owner.jitted(config, trainable), parameters, running)
        self.owner, self.config, self.trainable = owner, config, trainable

    def settings(self) -> Dict[str, Any]:
        """Empty: the functions belong to one configuration."""
        return {}

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """The layer's call and the gradients of its trainable variables and x."""
        return super().gradients(x, dy, mode) if self.trainable else self.some_gradients(x, dy, ("dx",), mode)

    def written(self) -> Any:
        """A Keras layer with these values assigned to its variables, as after training."""
        layer = built_layer(self.owner.keras, self.config)
        assign(layer, *self.parameters, *self.running)
        layer.trainable = self.trainable
        return layer

    def restored(self) -> StatelessLayer:
        """The variables of the layer of a model saved to a file and loaded."""
        return self.owner.layer_of(self.config, restored_layer(self.owner.keras, self.config, self.written()))

    def copied(self) -> StatelessLayer:
        """The variables of the layer of a cloned model."""
        new = self.owner.layer_of(self.config, cloned_layer(self.owner.keras, self.config, self.written()))
        new.freeze(not self.trainable)
        return new

    def freeze(self, frozen: bool) -> None:
        """Set ``trainable``; a layer that is not trainable runs in inference mode."""
        self.trainable = not frozen
        self.jitted = self.owner.jitted(self.config, self.trainable)

    def set_decay(self, decay: float) -> None:
        """Set the layer's momentum, a constant in the compiled functions."""
        self.config = dataclasses.replace(self.config, decay=decay)
        self.jitted = self.owner.jitted(self.config, self.trainable)


class KerasJaxTensor(KerasJax):
    """``keras.layers.Normalization``, adapted to one tensor in place of batches."""

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """Raises Declined."""
        raise Declined(SCALER_ONLY)

    def new_layer(self, config: LayerConfig) -> Any:
        """Raises Declined."""
        raise Declined(SCALER_ONLY)

    def scaler(self, config: LayerConfig) -> TensorScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return TensorScaler(self.keras, config)


class KerasJaxClone(KerasJaxTensor):
    """``keras.layers.Normalization``, cloned after it was adapted."""

    def scaler(self, config: LayerConfig) -> CarriedScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return CarriedScaler(self.keras, config)
