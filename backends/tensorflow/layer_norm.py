"""Layer normalization in TensorFlow, eager: a layer of Keras, or ``tf.nn.moments`` and ``tf.nn.batch_normalization``.

TensorFlow has no dedicated function: users build it from these, which accept any axes.

Source: https://keras.io/api/layers/normalization_layers/layer_normalization/
"""

from __future__ import annotations

from typing import Any, Callable, Sequence

from bnspec.backends.tensorflow.common import connected
from bnspec.contract import Gradients, LayerConfig, LayerNorm


class TapedLayerNorm(LayerNorm):
    """A call of x, differentiated by a tape.

    Args:
        call: y of x; parameters: the variables gamma and beta.
    """

    def __init__(self, tf: Any, call: Callable[[Any], Any], parameters: Sequence[Any]) -> None:
        self.tf, self.call, self.parameters = tf, call, parameters

    def training(self, x: Any) -> Any:
        """y."""
        return self.call(x)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """One recorded forward pass and its backward pass."""
        sources = [x, *self.parameters]
        with self.tf.GradientTape() as tape:
            tape.watch(sources)
            y = self.call(x)
        found = tape.gradient(y, sources, output_gradients=dy)
        return Gradients(y, *connected(found, ("dx", "dgamma", "dbeta")))


def moments(tf: Any, config: LayerConfig, gamma: Any, beta: Any) -> TapedLayerNorm:
    """The two functions over the last axis."""
    weight, bias = tf.Variable(gamma), tf.Variable(beta)

    def call(x: Any) -> Any:
        mean, var = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, var, bias, weight, config.epsilon)

    return TapedLayerNorm(tf, call, [weight, bias])


def keras_layer(tf: Any, keras: Any, config: LayerConfig, policy: str, gamma: Any, beta: Any) -> TapedLayerNorm:
    """``keras.layers.LayerNormalization`` with these tensors assigned to its weights."""
    layer = keras.layers.LayerNormalization(axis=-1, epsilon=config.epsilon, dtype=policy)
    layer.build((*(None,) * (config.rank - 1), config.channels))
    layer.gamma.assign(gamma)
    layer.beta.assign(beta)
    return TapedLayerNorm(tf, layer, [layer.gamma.value, layer.beta.value])
