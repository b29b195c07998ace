"""Layer normalization in NumPy: the specification's own equations, in the working precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.contract import Gradients, LayerConfig, LayerNorm
from bnspec.equations import layer_norm as ln
from bnspec.model.conventions import HALVES

AXES = (-1,)


class NumpyLayerNorm(LayerNorm):
    """Half-precision input is widened to float32, in which everything is computed; results are rounded once at the end."""

    def __init__(self, config: LayerConfig, gamma: Any, beta: Any) -> None:
        self.config, self.gamma, self.beta = config, gamma, beta
        self.work = np.dtype("float32") if config.dtype in HALVES else np.dtype(config.dtype)

    def training(self, x: Any) -> Any:
        """y."""
        wide, gamma, beta = (a.astype(self.work) for a in (x, self.gamma, self.beta))
        return ln.layer_norm(wide, gamma, beta, self.config.epsilon, AXES).astype(x.dtype)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """y, dx, dgamma and dbeta."""
        epsilon, (wide, cotangent) = self.config.epsilon, (a.astype(self.work) for a in (x, dy))
        dx = ln.layer_norm_dx(wide, cotangent, self.gamma.astype(self.work), epsilon, AXES)
        flat_x, flat_dy = (a.reshape(-1, self.config.channels) for a in (wide, cotangent))
        sums = ln.layer_norm_parameter_gradients(flat_x, flat_dy, epsilon, (1,))
        dgamma, dbeta = (g.reshape(-1).astype(self.gamma.dtype) for g in sums)
        return Gradients(self.training(x), dx.astype(x.dtype), dgamma, dbeta)
