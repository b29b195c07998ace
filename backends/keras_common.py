"""What the Keras adapters share whatever Keras' own backend is: dtype policies, the built layer, the built scaler."""

from __future__ import annotations

import importlib
import os
from typing import Any, Optional, Tuple

from bnspec.contract import LayerConfig
from bnspec.profiles import HALVES


def open_keras(backend: str) -> Any:
    """The module keras on this backend of its own; Keras reads KERAS_BACKEND once, when it is imported."""
    os.environ["KERAS_BACKEND"] = backend
    return importlib.import_module("keras")


def policy(config: LayerConfig) -> str:
    """The name of the Keras dtype policy with these dtypes of computation and of weights."""
    mixed = config.dtype in HALVES and config.parameter_dtype == "float32"
    return "mixed_" + config.dtype if mixed else config.dtype


def open_shape(config: LayerConfig) -> Tuple[Optional[int], ...]:
    """The shape of x as Keras builds from it: only the channel axis has an extent."""
    return tuple(config.channels if a == config.channel_axis else None for a in range(config.rank))


def built_layer(keras: Any, config: LayerConfig) -> Any:
    """A ``keras.layers.BatchNormalization`` whose weights exist and have their initial values."""
    layer = keras.layers.BatchNormalization(
        axis=config.channel_axis,
        momentum=config.decay,
        epsilon=config.epsilon,
        center=config.affine,
        scale=config.affine,
        dtype=policy(config),
    )
    layer.build(open_shape(config))
    return layer


def not_fitted(_: Any) -> None:
    """What stands in for the layers of a scaler before its first fit that succeeds. Raises RuntimeError."""
    raise RuntimeError("no fit has succeeded: there are no statistics")
