"""``keras.jax``: ``keras.layers.BatchNormalization`` and ``keras.layers.Normalization`` on Keras' JAX backend.

The layer is called by ``stateless_call`` under jax.jit, and differentiated by JAX, as Keras' own training loop does on this
backend. Compiled once per shape and configuration: layers of one configuration share one Keras layer, which is a pure
function of its variables here.

Source: https://keras.io/api/layers/base_layer/ (stateless_call) and
https://keras.io/api/layers/normalization_layers/batch_normalization/
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

from bnspec.backends.jax_common import JaxAdapter, JaxLayer
from bnspec.backends.keras_common import built_layer, not_fitted, open_keras, policy
from bnspec.contract import Gradients, LayerConfig, Profile, Scaler, State


class KerasJax(JaxAdapter):
    """The Keras layers; KERAS_BACKEND is set to jax before Keras is imported.

    A half-precision x is computed in float32. float32 parameters with it are Keras' mixed policies.
    """

    framework = "keras"
    profile = Profile(
        checks_arguments=True,
        running_correction=0,
        momentum_weighs="old",
        default_epsilon=1e-3,
        default_decay=0.99,
        frozen_gradients="constants",
        count_one="biased",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        layouts="normalised",
        mutable_tensors=False,
        input_normalization=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.keras = open_keras("jax")
        self.pool: Dict[LayerConfig, Tuple[Callable[..., Any], Callable[..., Any]]] = {}

    def versions(self) -> Dict[str, str]:
        """Keras, and the JAX below it."""
        return dict(super().versions(), keras=str(self.keras.__version__))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> StatelessLayer:
        """These arrays as the variables of the configuration's layer."""
        if config not in self.pool:
            self.pool[config] = jitted_calls(self.jax, built_layer(self.keras, config))
        trainable = [gamma, beta] if config.affine else []
        return StatelessLayer(self.pool[config], trainable, [running_mean, running_var])

    def scaler(self, config: LayerConfig) -> NormScaler:
        """Input normalization by ``keras.layers.Normalization``."""
        return NormScaler(self.keras, config)


class StatelessLayer(JaxLayer):
    """The variables of one ``keras.layers.BatchNormalization``, in the order that Keras keeps them in."""

    def __init__(self, calls: Tuple[Callable[..., Any], ...], trainable: List[Any], moving: List[Any]) -> None:
        (self.call, self.call_gradients), self.trainable, self.moving = calls, trainable, moving

    def forward(self, x: Any, mode: str) -> Any:
        """The layer's call; its non-trainable variables replace the old."""
        y, self.moving = self.call(self.trainable, self.moving, x, training=mode == "training")
        return y

    def gradients(self, x: Any, dy: Any, mode: str) -> Gradients:
        """The layer's call and its gradients; its non-trainable variables replace the old."""
        arguments = (self.trainable, self.moving, x, dy)
        y, dx, parameters, self.moving = self.call_gradients(*arguments, training=mode == "training")
        dgamma, dbeta = parameters or (None, None)
        return Gradients(y, dx, dgamma, dbeta)

    def state(self) -> State:
        """moving_mean and moving_variance."""
        return State(*self.moving)


class NormScaler(Scaler):
    """One ``keras.layers.Normalization``, and a second one that inverts it; eager."""

    def __init__(self, keras: Any, config: LayerConfig) -> None:
        self.keras, self.config = keras, config
        self.forward: Any = not_fitted
        self.backward: Any = not_fitted

    def fit(self, chunks: Sequence[Any]) -> None:
        """Adapt to the list of batches, and give what was learned to the inverting layer."""
        options = {"axis": self.config.channel_axis, "dtype": policy(self.config)}
        forward = self.keras.layers.Normalization(**options)
        forward.adapt(list(chunks))
        mean, variance, _ = forward.get_weights()
        self.forward = forward
        self.backward = self.keras.layers.Normalization(mean=mean, variance=variance, invert=True, **options)

    def transform(self, x: Any) -> Any:
        """(x - mean) / max(sqrt(variance), 1e-7), by the layer."""
        return self.forward(x)

    def inverse(self, y: Any) -> Any:
        """mean + y * max(sqrt(variance), 1e-7), by the inverting layer."""
        return self.backward(y)

    def statistics(self) -> State:
        """The adapted mean and variance."""
        mean, variance, _ = self.forward.weights
        return State(mean.value, variance.value)


def jitted_calls(jax: Any, layer: Any) -> Tuple[Callable[..., Any], Callable[..., Any]]:
    """The layer's stateless_call, and its vector-Jacobian product with dy for x and the trainable variables."""

    def call(trainable: Any, moving: Any, x: Any, training: bool) -> Any:
        return layer.stateless_call(trainable, moving, x, training=training)

    def call_gradients(trainable: Any, moving: Any, x: Any, dy: Any, training: bool) -> Any:
        def forward(x: Any, trainable: Any) -> Any:
            return call(trainable, moving, x, training)

        y, pullback, after = jax.vjp(forward, x, trainable, has_aux=True)
        return (y, *pullback(dy), after)

    static = ("training",)
    return jax.jit(call, static_argnames=static), jax.jit(call_gradients, static_argnames=static)
