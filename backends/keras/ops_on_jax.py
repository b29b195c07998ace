"""``keras.ops.jax``: the layer written with ``keras.ops.moments`` and ``keras.ops.batch_normalization``, on the JAX backend, jitted.

Source: https://keras.io/api/ops/nn/
"""

from __future__ import annotations

from typing import Any, Dict, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.backends.jax.pure_layer import Functions, Parameters, WrittenLayer
from bnspec.backends.keras.common import OPS_CONVENTIONS, moments_but, open_keras
from bnspec.contract import Declined, Gradients, LayerConfig, State
from bnspec.model.call import Mode


class KerasOpsJax(JaxAdapter):
    """The two functions; KERAS_BACKEND is set to jax before Keras is imported."""

    framework = "keras"
    conventions = OPS_CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("jax")
        self.jitted = OpsFunctions(self.jax, self.keras).jitted("axis")

    def versions(self) -> Dict[str, str]:
        """Versions of Keras and of JAX."""
        return dict(super().versions(), keras=str(self.keras.__version__))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> OpsLayer:
        """A layer that holds these arrays; a training step replaces the statistics."""
        return OpsLayer(self.jitted, config, (gamma, beta), State(running_mean, running_var))


class OpsFunctions(Functions):
    """The two functions, and the moving average that their user writes; ``axis`` is x's channel axis."""

    def __init__(self, jax: Any, keras: Any) -> None:
        super().__init__(jax)
        self.ops = keras.ops

    def forward(
        self,
        x: Any,
        parameters: Parameters,
        running: State,
        *,
        mode: Mode,
        epsilon: float,
        decay: float,
        axis: int,
    ) -> Tuple[Any, State]:
        """y, and the running statistics after it."""
        by = after = running
        if mode == "training":
            by = State(*moments_but(self.ops, x, axis))
            if x.size:  # the moments of an empty batch are NaN
                pairs = zip(running, by)
                after = State(*((decay * old + (1.0 - decay) * new).astype(old.dtype) for old, new in pairs))
        gamma, beta = parameters
        return self.ops.batch_normalization(x, *by, axis=axis, offset=beta, scale=gamma, epsilon=epsilon), after


class OpsLayer(WrittenLayer):
    """The arrays of one layer."""

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined("keras.ops.moments takes no mask")

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("keras.ops.moments takes no mask")
