"""The network of trajectories in TensorFlow: variables, a gradient tape, and ``assign_sub``; eager.

Source: https://www.tensorflow.org/guide/core/mlp_core
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from bnspec.contract import Declined, Network
from bnspec.model.vocabulary import NetworkKind


class TensorflowNetwork(Network):
    """The operations around ``layer``: its ``training`` under a tape, its variables gamma, beta and its state.

    Without ``layer``: the plain network.
    """

    def __init__(
        self, tf: Any, kind: NetworkKind, layer: Optional[Any], rate: float, values: Mapping[str, Any]
    ) -> None:
        if kind.startswith("convolutional") and "GPU" in values["w1"].device:
            raise Declined("cuDNN may choose Winograd's convolution here, whose error is not that of a sum of products")
        self.tf, self.convolutional, self.layer, self.rate = tf, kind.startswith("convolutional"), layer, rate
        tf.config.experimental.enable_tensor_float_32_execution(False)  # otherwise GPUs round the factors of products
        self.trained = {n: tf.Variable(values[n]) for n in ("w1", "b1", "w2", "b2")}
        if layer is not None:
            self.trained.update(gamma=layer.gamma, beta=layer.beta)

    def loss(self, x: Any, labels: Any) -> Any:
        """The mean cross-entropy in training mode; moves the running statistics."""
        tf, v = self.tf, self.trained
        if self.convolutional:
            h = tf.nn.bias_add(tf.nn.conv2d(x, v["w1"], strides=1, padding="VALID"), v["b1"])
        else:
            h = tf.matmul(x, v["w1"]) + v["b1"]
        a = tf.nn.relu(h if self.layer is None else self.layer.training(h))
        z = tf.matmul(tf.reduce_mean(a, [1, 2]) if self.convolutional else a, v["w2"]) + v["b2"]
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, z))

    def learn(self, x: Any, labels: Any) -> Any:
        """One step."""
        with self.tf.GradientTape() as tape:
            loss = self.loss(x, labels)
        for name, gradient in tape.gradient(loss, self.trained).items():
            self.trained[name].assign_sub(self.rate * gradient)
        return loss

    def values(self) -> Mapping[str, Any]:
        """The variables and the layer's state."""
        return dict(self.trained, **({} if self.layer is None else self.layer.state()._asdict()))
