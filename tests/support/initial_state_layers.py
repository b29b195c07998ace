"""Example layers with other initial states than the plain layer's, and one that can be frozen."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.conformance.selftest.reference.layer import PlainLayer
from bnspec.conformance.selftest.reference.scaler import PlainAdapter
from bnspec.contract import LayerConfig

Array = Any


class StartsAtOne(PlainLayer):
    """initial_mean 1."""

    begins = (1.0, 1.0, "")


class StartsWide(PlainLayer):
    """initial_var 4."""

    begins = (0.0, 4.0, "")


class StateInFloat32(PlainLayer):
    """state_dtype float32."""

    begins = (0.0, 1.0, "float32")


class FrozenIsConstants(PlainLayer):
    """frozen_gradients constants."""

    frozen = False

    def freeze(self, frozen: bool) -> None:
        """Inference from now on."""
        self.frozen = frozen

    def training(self, x: Array) -> Array:
        """Inference while frozen."""
        return self.inference(x) if self.frozen else super().training(x)


def new_layer(self: PlainAdapter, config: LayerConfig) -> Any:
    """A layer with its class's initial state."""
    mean, var, dtype = self.layer_class.begins  # type: ignore[attr-defined]
    one, state = np.ones(config.channels, config.parameter_dtype), np.dtype(dtype or config.parameter_dtype)
    return self.layer_class(
        config, one, 0 * one, np.full(config.channels, mean, state), np.full(config.channels, var, state)
    )
