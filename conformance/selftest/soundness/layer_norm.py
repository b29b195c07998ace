"""The same algorithms as layer normalization: rows are samples, and gamma and beta belong to the columns."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from bnspec.arithmetic.quad import quad
from bnspec.bounds.layer_norm import LayerNormError, layer_norm_error
from bnspec.conformance.selftest.soundness.algorithms import Algorithm
from bnspec.conformance.selftest.soundness.passes import Terms
from bnspec.contract import LayerConfig
from bnspec.equations.layer_norm import layer_norm, layer_norm_dx, layer_norm_parameter_gradients
from bnspec.exact.quantities import Batch
from bnspec.model.conventions import Conventions
from bnspec.model.precision import units_of
from bnspec.oracle.oracle import TIERS, Expected

Array = Any


class LayerNormExperiment:
    """One x and dy of shape (samples, features) with gamma and beta of shape (features,), and the exact answers."""

    def __init__(self, x: Array, dy: Array, gamma: Array, beta: Array, epsilon: float) -> None:
        self.x, self.dy, self.gamma, self.beta, self.epsilon = x, dy, gamma.reshape(1, -1), beta.reshape(1, -1), epsilon
        self.config = LayerConfig(2, 0, len(x), epsilon, 1.0, x.dtype.name, gamma.dtype.name)

    @functools.cached_property
    def expected(self) -> dict[str, Expected]:
        """The exact values of y, dx, dgamma and dbeta, with their bounds."""
        x, dy, gamma, beta = (quad(a) for a in (self.x, self.dy, self.gamma, self.beta))
        batch, errors = Batch(self.config, x), {}
        for tier in TIERS:
            units = units_of(Conventions(), self.config.dtype, self.config.parameter_dtype, tier)
            errors[tier] = layer_norm_error(batch, dy, gamma, beta, units, tier)
        values = LayerNormError(
            layer_norm(x, gamma, beta, self.epsilon, (1,)),
            layer_norm_dx(x, dy, gamma, self.epsilon, (1,)),
            *layer_norm_parameter_gradients(x, dy, self.epsilon, (1,)),
        )
        return {
            n: Expected(value, {t: getattr(e, n) for t, e in errors.items()})
            for n, value in zip(values._fields, values, strict=True)
        }

    def run(self, algorithm: Algorithm) -> dict[str, Array]:
        """The algorithm's outputs."""
        work = algorithm.work(self.x.dtype)
        x, dy, gamma, beta = (a.astype(work) for a in (self.x, self.dy, self.gamma, self.beta))
        mean, var = algorithm.moments(x, algorithm.total)
        inv_std, one, zero = algorithm.root(var, self.epsilon), np.ones((1, 1), work), np.zeros((1, 1), work)
        plain = Terms(x, mean, inv_std, one, zero)
        zhat = algorithm.forward(plain)
        stored = {
            "y": (algorithm.forward(Terms(x, mean, inv_std, gamma, beta)), self.x),
            "dx": (algorithm.backward(plain, gamma * dy, algorithm.total).dx, self.x),
            "dgamma": (algorithm.total((dy * zhat).T)[None], self.gamma),
            "dbeta": (algorithm.total(dy.T)[None], self.gamma),
        }
        return {n: value.astype(like.dtype) for n, (value, like) in stored.items()}
