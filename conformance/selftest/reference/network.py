"""The reference network around a layer, in small methods that mutants override."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Tuple

import numpy as np

from bnspec.contract import LayerConfig, Network
from bnspec.model.vocabulary import NetworkKind

Array = Any
#: The trained values, in the order in which their gradients are computed.
LEARNT = ("w1", "b1", "gamma", "beta", "w2", "b2")


class FullNetwork(Network):
    """Linear map or convolution -> the layer -> ReLU -> mean over positions -> linear map -> softmax cross-entropy.

    The layer receives rows: a convolution is a linear map of patches.
    """

    def __init__(
        self, layer_class: Any, kind: NetworkKind, config: LayerConfig, rate: float, values: Mapping[str, Any]
    ) -> None:
        self.convolutional, self.rate = kind == "convolutional", np.float32(rate)
        self.value: Dict[str, Any] = {n: np.array(v) for n, v in values.items()}
        flat = dataclasses.replace(config, rank=2, channel_axis=1)
        self.layer: Any = layer_class(flat, *(self.value[n] for n in ("gamma", "beta", "running_mean", "running_var")))

    def rows(self, x: Array) -> Array:
        """x, or its patches of 3 by 3, as rows."""
        if not self.convolutional:
            return x
        windows = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), axis=(1, 2))
        return windows.reshape(-1, 9)

    def weights(self) -> Array:
        """w1 as a matrix."""
        return self.value["w1"].reshape(-1, self.value["b1"].size)

    def normalised(self, h: Array) -> Array:
        """The layer's output in training; moves its running statistics."""
        return self.layer.training(h)

    def backward(self, h: Array, dy: Array) -> Tuple[Array, Array, Array]:
        """dh, dgamma and dbeta."""
        found: Tuple[Array, Array, Array] = self.layer.backward(h, dy)
        return found

    def pooled(self, a: Array, samples: int) -> Array:
        """The mean over the positions of each sample."""
        return a.reshape(samples, -1, a.shape[1]).mean(axis=1)

    def spread(self, da: Array, positions: int) -> Array:
        """The gradient of that mean."""
        return np.repeat(da / np.float32(positions), positions, axis=0)

    def active(self, y: Array) -> Array:
        """The mask where ReLU passes the gradient."""
        return y > 0

    def loss(self, z: Array, labels: Array) -> Tuple[Array, Array]:
        """The mean cross-entropy of the softmax, and its gradient."""
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        taken = np.arange(len(z)), labels
        loss = -np.log(p[taken]).mean()
        p[taken] -= 1
        return loss, p / np.float32(len(z))

    def bias_gradient(self, dh: Array, dy: Array) -> Array:
        """The gradient of the bias before the layer: the sum of dh, which is only rounding error."""
        return dh.sum(axis=0)

    def learn(self, x: Any, labels: Any) -> Any:
        """Forward, backward, and one step of gradient descent."""
        rows = self.rows(x)
        h = rows @ self.weights() + self.value["b1"]
        y = self.normalised(h)
        features = self.pooled(np.maximum(y, 0), len(x))
        loss, dz = self.loss(features @ self.value["w2"] + self.value["b2"], labels)
        dy = self.spread(dz @ self.value["w2"].T, len(rows) // len(x)) * self.active(y)
        dh, dgamma, dbeta = self.backward(h, dy)
        gradients = (rows.T @ dh, self.bias_gradient(dh, dy), dgamma, dbeta, features.T @ dz, dz.sum(axis=0))
        self.descend(dict(zip(LEARNT, gradients)))
        return np.asarray(loss)

    def descend(self, gradients: Dict[str, Array]) -> None:
        """value - rate * gradient, in place, since the layer shares gamma and beta."""
        for name, gradient in gradients.items():
            self.value[name] -= self.rate * gradient.reshape(self.value[name].shape)

    def values(self) -> Mapping[str, Any]:
        """All values by name; the running statistics are the layer's."""
        mean, var = self.layer.state()
        return dict(self.value, running_mean=mean, running_var=var)
