"""``toynorm.BatchNorm``: the adapter of the toy framework."""

from __future__ import annotations

from typing import Any

from bnspec.contract import Adapter, Conventions, Gradients, Layer, LayerConfig, State


class ToyBatchNorm(Adapter):
    """The framework's only layer: float32 and float64, channels last."""

    framework = "toynorm"
    conventions = Conventions(momentum_weighs="new", channel_axes="last", affine_optional=False)

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        import toynorm

        self.toynorm = toynorm

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ToyLayer:
        """The layer over these arrays."""
        momentum = 1.0 - config.decay
        return ToyLayer(self.toynorm.BatchNorm(gamma, beta, running_mean, running_var, config.epsilon, momentum))


class ToyLayer(Layer):
    """One ``toynorm.BatchNorm``."""

    def __init__(self, layer: Any) -> None:
        self.wrapped = layer

    def training(self, x: Any) -> Any:
        """The call in training."""
        return self.wrapped(x, training=True)

    def inference(self, x: Any) -> Any:
        """The call in inference."""
        return self.wrapped(x)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """The framework's own backward pass in training."""
        return Gradients(*self.wrapped.backward(x, dy, training=True))

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """The framework's own backward pass in inference."""
        return Gradients(*self.wrapped.backward(x, dy))

    def state(self) -> State:
        """The running statistics."""
        return State(self.wrapped.running_mean, self.wrapped.running_var)
