"""``keras.torch``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' PyTorch backend, eager.

    keras.torch.remat   the former under ``keras.remat``
    keras.torch.adapt   the latter, adapted to one tensor in place of batches
    keras.ops.torch     the layer written with ``keras.ops.moments`` and ``keras.ops.batch_normalization``

Gradients are autograd's, as in Keras' own training loop on this backend.

Source: https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Dict, List, Tuple

from bnspec.backends.keras.common import (
    CONVENTIONS,
    OPS_CONVENTIONS,
    SCALER_ONLY,
    BuildsLayers,
    NormScaler,
    StatefulLayer,
    TensorScaler,
    built_layer,
    keras_mask,
    moments_but,
    open_keras,
)
from bnspec.backends.torch.common import TorchAdapter, TorchLayer
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import Mode

#: Why a layer that is computed again declines what does not depend on that.
OTHERS = "this is asked of the backend keras.torch"


class KerasTorch(BuildsLayers, TorchAdapter):
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


class KerasTorchRemat(KerasTorch):
    """``keras.layers.BatchNormalization`` under ``keras.remat``, which computes it again in the backward pass."""

    def new_layer(self, config: LayerConfig) -> RematLayer:
        """The layer as constructed, then built for x's rank and channels."""
        return RematLayer(self.torch, self.keras, config, built_layer(self.keras, config))

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Raises Declined: ``keras.torch`` has it."""
        raise Declined(OTHERS)


class RematLayer(NormLayer):
    """One ``keras.layers.BatchNormalization``, computed again in the backward pass."""

    def forward(self, x: Any, mode: Mode, mask: Any = None) -> Any:
        """The layer's call, of which nothing is kept for the backward pass."""
        if mask is not None:
            raise Declined(OTHERS)
        call = super().forward
        return self.keras.remat(lambda x: call(x, mode))(x)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Raises Declined: what requires a gradient must be the same in both forward passes."""
        raise Declined(OTHERS)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined(OTHERS)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined(OTHERS)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined(OTHERS)

    def over(self, layer: Any) -> RematLayer:
        """The same configuration around another Keras layer."""
        return RematLayer(self.torch, self.keras, self.config, layer)


class KerasOpsTorch(KerasTorch):
    """The two functions."""

    conventions = dataclasses.replace(OPS_CONVENTIONS, layouts="strided", mutable_tensors=True)

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """A layer over these tensors."""
        return OpsLayer(self, config, gamma, beta, State(running_mean, running_var))

    def new_layer(self, config: LayerConfig) -> Any:
        """Raises Declined."""
        raise Declined("functions have no parameters of their own")

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Raises Declined: ``keras.torch`` has it."""
        raise Declined("input normalization is that of keras.torch")


class OpsLayer(TorchLayer):
    """The two functions, and the moving average that their user writes."""

    def __init__(self, owner: KerasOpsTorch, config: LayerConfig, gamma: Any, beta: Any, running: State) -> None:
        super().__init__(owner.torch)
        self.ops, self.config, self.running = owner.keras.ops, config, running
        self.gamma, self.beta = (None if p is None else p.detach().requires_grad_() for p in (gamma, beta))

    def normalise(self, x: Any, by: State) -> Any:
        """y of x by these statistics."""
        options = {"epsilon": self.config.epsilon, "offset": self.beta, "scale": self.gamma}
        return self.ops.batch_normalization(x, *by, axis=self.config.channel_axis, **options)

    def forward(self, x: Any, mode: Mode) -> Any:
        """y; a training step moves the running statistics."""
        if mode == "inference":
            return self.normalise(x, self.running)
        batch = State(*moments_but(self.ops, x, self.config.channel_axis))
        y, decay = self.normalise(x, batch), self.config.decay
        if x.numel():  # the moments of an empty batch are NaN
            pairs = zip(self.running, (b.detach() for b in batch))
            self.running = State(*((decay * old + (1.0 - decay) * new).to(old.dtype) for old, new in pairs))
        return y

    def parameters(self) -> List[Any]:
        """gamma and beta."""
        return [p for p in (self.gamma, self.beta) if p is not None]

    def state(self) -> State:
        """The running statistics."""
        return self.running

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class KerasTorchTensor(KerasTorch):
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
