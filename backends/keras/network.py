"""The network of trajectories in Keras: one ``keras.Sequential``, a gradient tape, and ``keras.optimizers.SGD``; eager.

A custom step, since the loss returned by ``train_on_batch`` is a mean over all batches since the last reset.

Source: https://keras.io/guides/writing_a_custom_training_loop_in_tensorflow/
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from bnspec.contract import Network
from bnspec.model.vocabulary import NetworkKind


class KerasNetwork(Network):
    """The layers around ``norm``, a ``keras.layers.BatchNormalization``; without it, the plain network."""

    def __init__(
        self, tf: Any, keras: Any, kind: NetworkKind, norm: Optional[Any], rate: float, values: Mapping[str, Any]
    ) -> None:
        layers, w1, w2 = keras.layers, values["w1"], values["w2"]
        tf.config.experimental.enable_tensor_float_32_execution(False)  # otherwise GPUs round the factors of products
        options, dense = {"dtype": w1.dtype.name}, kind.startswith("dense")
        if dense:
            first, pooling = layers.Dense(w1.shape[1], **options), []
        else:
            first, pooling = layers.Conv2D(w1.shape[3], 3, **options), [layers.GlobalAveragePooling2D(**options)]
        last = layers.Dense(w2.shape[1], **options)
        self.tf, self.model = (
            tf,
            keras.Sequential([first, *([] if norm is None else [norm]), layers.ReLU(**options), *pooling, last]),
        )
        self.model.build((*(None,) * (1 if dense else 3), w1.shape[-2]))
        #: The variables by the contract's names.
        self.variables = {"w1": first.kernel, "b1": first.bias, "w2": last.kernel, "b2": last.bias}
        if norm is not None:
            self.variables.update(gamma=norm.gamma, beta=norm.beta)
            self.variables.update(running_mean=norm.moving_mean, running_var=norm.moving_variance)
        for name, variable in self.variables.items():
            variable.assign(values[name])
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.optimizer = keras.optimizers.SGD(learning_rate=rate)

    def learn(self, x: Any, labels: Any) -> Any:
        """One step in training mode."""
        with self.tf.GradientTape() as tape:
            loss = self.loss(labels, self.model(x, training=True))
        trained = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, trained), trained)
        return loss

    def values(self) -> Mapping[str, Any]:
        """The layers' variables."""
        return {name: variable.value for name, variable in self.variables.items()}
