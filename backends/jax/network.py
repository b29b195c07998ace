"""The network of trajectories in JAX: a pure step under jit, around a layer's pure function."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Tuple

from bnspec.contract import Declined, LayerConfig, Network, State
from bnspec.model.vocabulary import NetworkKind

#: forward(x, (gamma, beta), running, epsilon, decay, axis, mode) -> (y, running after it)
Forward = Callable[..., Tuple[Any, State]]


def without(x: Any, parameters: Any, running: State, **_: Any) -> Tuple[Any, State]:
    """The ``Forward`` of a network without the layer."""
    return x, running


class JaxNetwork(Network):
    """``jax.value_and_grad`` of the loss, and the update of each parameter as a tree."""

    def __init__(
        self, jax: Any, forward: Forward, kind: NetworkKind, config: LayerConfig, rate: float, values: Mapping[str, Any]
    ) -> None:
        if kind.startswith("convolutional") and _platform(jax) != "cpu":
            raise Declined("XLA may choose Winograd's convolution here, whose error is not that of a sum of products")
        self.state = State(*(values.get(n) for n in State._fields))
        self.parameters: Dict[str, Any] = {n: v for n, v in values.items() if n not in State._fields}
        self.jax, self.step = jax, jax.jit(step_of(jax, forward, kind, config, rate))

    def learn(self, x: Any, labels: Any) -> Any:
        """One step; new arrays replace the old ones."""
        with self.jax.default_matmul_precision(
            "float32"
        ):  # in the word that releases of 2023 know, too; otherwise accelerators round the factors of products
            loss, self.parameters, self.state = self.step(self.parameters, self.state, x, labels)
        return loss

    def values(self) -> Mapping[str, Any]:
        """Parameters and running statistics."""
        return dict(self.parameters, **{n: v for n, v in self.state._asdict().items() if v is not None})


def _platform(jax: Any) -> str:
    """Of the device that the adapter has chosen."""
    return str(getattr(jax.config.jax_default_device, "platform", "cpu"))


def step_of(jax: Any, forward: Forward, kind: NetworkKind, config: LayerConfig, rate: float) -> Callable[..., Any]:
    """Returns the step (parameters, state, x, labels) -> (loss, parameters, state)."""
    dense = kind.startswith("dense")

    def loss_of(p: Dict[str, Any], state: State, x: Any, labels: Any) -> Tuple[Any, State]:
        if dense:
            h = x @ p["w1"] + p["b1"]
        else:
            h = jax.lax.conv_general_dilated(x, p["w1"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            h = h + p["b1"]
        constants = {"epsilon": config.epsilon, "decay": config.decay, "axis": config.channel_axis}
        y, after = forward(h, (p.get("gamma"), p.get("beta")), state, mode="training", **constants)
        a = jax.nn.relu(y)
        z = (a if dense else a.mean((1, 2))) @ p["w2"] + p["b2"]
        taken = jax.numpy.take_along_axis(jax.nn.log_softmax(z), labels[:, None], axis=1)
        return -taken.mean(), after

    def step(p: Dict[str, Any], state: State, x: Any, labels: Any) -> Tuple[Any, Dict[str, Any], State]:
        (loss, after), gradients = jax.value_and_grad(loss_of, has_aux=True)(p, state, x, labels)
        return loss, jax.tree_util.tree_map(lambda old, gradient: old - rate * gradient, p, gradients), after

    return step
