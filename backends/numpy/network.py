"""The small network of trajectories in NumPy, around the specification's own equations, in the values' precision."""

from __future__ import annotations

import abc
from typing import Any, Dict, Mapping, NamedTuple

import numpy as np

from bnspec.contract import LayerConfig, Network
from bnspec.equations import batch_norm as eq
from bnspec.model.vocabulary import NetworkKind

AXES = (0,)


class Backward(NamedTuple):
    """Results of the backward pass between ReLU and the linear map: the cotangent, gradients, and updated values."""

    dh: Any
    gradients: Mapping[str, Any]
    moved: Mapping[str, Any]


class RowsNetwork(Network):
    """A network of linear maps on rows; a convolution is a linear map of patches, averaged over positions after ReLU.

    Subclasses define the part between the first linear map and ReLU, forward and backward.
    """

    def __init__(self, kind: NetworkKind, config: LayerConfig, rate: float, values: Mapping[str, Any]) -> None:
        self.convolutional, self.config, self.rate = kind.startswith("convolutional"), config, rate
        self.kept: Dict[str, Any] = {n: np.array(v) for n, v in values.items()}
        self.shape = self.kept["w1"].shape
        self.kept["w1"] = self.kept["w1"].reshape(-1, config.channels)

    @abc.abstractmethod
    def forward(self, h: Any) -> Any:
        """y of rows h."""

    @abc.abstractmethod
    def backward(self, h: Any, dy: Any) -> Backward:
        """The backward pass, given the same rows and the cotangent of y."""

    def rows(self, x: Any) -> Any:
        """x, or its patches of 3 by 3, as rows."""
        if not self.convolutional:
            return x
        high, wide = x.shape[1] - 2, x.shape[2] - 2
        parts = [x[:, i : i + high, j : j + wide, :] for i in range(3) for j in range(3)]
        return np.concatenate(parts, axis=-1).reshape(len(x) * high * wide, -1)

    def learn(self, x: Any, labels: Any) -> Any:
        """Forward, backward, and the update of every value."""
        kept, rows = self.kept, self.rows(x)
        h = rows @ kept["w1"] + kept["b1"]
        y = self.forward(h)
        a = np.maximum(y, 0)
        pooled = a.reshape(len(x), -1, a.shape[1]).mean(axis=1)
        z = pooled @ kept["w2"] + kept["b2"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        taken = np.arange(len(x)), labels
        loss = -np.log(p[taken]).mean()
        p[taken] -= 1
        dz = p / len(x)
        positions = len(rows) // len(x)
        back = self.backward(h, np.repeat(dz @ kept["w2"].T / positions, positions, axis=0) * (y > 0))
        gradients = {
            "w1": rows.T @ back.dh,
            "b1": back.dh.sum(0),
            **back.gradients,
            "w2": pooled.T @ dz,
            "b2": dz.sum(0),
        }
        for name, gradient in gradients.items():
            kept[name] = kept[name] - kept[name].dtype.type(self.rate) * gradient.reshape(kept[name].shape)
        kept.update(back.moved)
        return np.asarray(loss)

    def values(self) -> Mapping[str, Any]:
        """All values, w1 in its own shape."""
        return dict(self.kept, w1=self.kept["w1"].reshape(self.shape))


class NumpyNetwork(RowsNetwork):
    """The network with batch normalization."""

    def forward(self, h: Any) -> Any:
        """y in training mode."""
        return eq.training_forward(h, self.kept["gamma"], self.kept["beta"], self.config.epsilon, AXES)

    def backward(self, h: Any, dy: Any) -> Backward:
        """dx, dgamma, dbeta, and the running statistics after the step."""
        kept, epsilon, decay = self.kept, self.config.epsilon, self.config.decay
        mean, var = eq.batch_statistics(h, AXES)
        dgamma, dbeta = eq.parameter_gradients(eq.normalise(h, mean, var, epsilon), dy, AXES)
        moved = {
            "running_mean": eq.running_mean_update(kept["running_mean"], mean.reshape(-1), decay),
            "running_var": eq.running_var_update(kept["running_var"], var.reshape(-1), len(h), decay, 0),
        }
        return Backward(eq.training_dx(h, dy, kept["gamma"], epsilon, AXES), {"gamma": dgamma, "beta": dbeta}, moved)


class PlainNumpyNetwork(RowsNetwork):
    """The same network without the normalization."""

    def forward(self, h: Any) -> Any:
        """h unchanged."""
        return h

    def backward(self, h: Any, dy: Any) -> Backward:
        """dy unchanged."""
        return Backward(dy, {}, {})
