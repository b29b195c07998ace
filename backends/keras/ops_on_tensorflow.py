"""``keras.ops``: the layer written with ``keras.ops.moments`` and ``keras.ops.batch_normalization``, on the TensorFlow backend, eager.

Source: https://keras.io/api/ops/nn/
"""

from __future__ import annotations

from typing import Any

from bnspec.backends.keras.common import OPS_CONVENTIONS, open_keras
from bnspec.backends.tensorflow.common import TensorflowAdapter
from bnspec.backends.tensorflow.moments_layer import VariablesLayer
from bnspec.contract import Declined, LayerConfig, State


class KerasOps(TensorflowAdapter):
    """The two functions; KERAS_BACKEND is set to tensorflow before Keras is imported."""

    framework = "keras"
    conventions = OPS_CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("tensorflow")

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> OpsLayer:
        """A layer whose four arrays become variables."""
        settings = config.channel_axis, config.epsilon, config.decay
        return OpsLayer(self.tf, self.keras, *settings, gamma, beta, State(running_mean, running_var))


class OpsLayer(VariablesLayer):
    """The two functions, over variables."""

    def __init__(self, tf: Any, keras: Any, *given: Any) -> None:
        super().__init__(tf, *given)
        self.keras = keras

    def normalise(self, x: Any, mean: Any, var: Any) -> Any:
        """y of x by statistics that broadcast against x."""
        by = (self.tf.reshape(statistic, [-1]) for statistic in (mean, var))
        options = {"epsilon": self.epsilon, "offset": self.beta, "scale": self.gamma}
        return self.keras.ops.batch_normalization(x, *by, axis=self.axis, **options)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        return self.trained(x, *self.keras.ops.moments(x, self.reduced(x), keepdims=True))

    def training_masked(self, x: Any, mask: Any) -> Any:
        """Raises Declined."""
        raise Declined("keras.ops.moments takes no mask")

    def over(self, gamma: Any, beta: Any, running: State) -> OpsLayer:
        """A layer like this one over new variables with these values."""
        return OpsLayer(self.tf, self.keras, self.axis, self.epsilon, self.decay, gamma, beta, running)
