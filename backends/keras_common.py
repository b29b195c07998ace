"""What the Keras adapters share whatever Keras' own backend is: dtype policies, the built layer, the built scaler."""

from __future__ import annotations

import importlib
import os
import tempfile
from typing import Any, Optional, Tuple

from bnspec.contract import Declined, LayerConfig
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


def assign(layer: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
    """Give the layer's weights these values; gamma and beta are None where it has none."""
    if gamma is not None:
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
    layer.moving_mean.assign(running_mean)
    layer.moving_variance.assign(running_var)


def keras_mask(config: LayerConfig, mask: Any) -> Any:
    """The mask as Keras takes it, without the last axis. Raises Declined: the channel axis is another."""
    if config.channel_axis != config.rank - 1:
        raise Declined("Keras expands the mask by a last axis: it reaches channels there only")
    return mask[..., 0]


def model_of(keras: Any, config: LayerConfig, layer: Any) -> Any:
    """A model of this layer alone: what Keras saves and clones."""
    return keras.Sequential([keras.Input(batch_shape=open_shape(config), dtype=config.dtype), layer])


def restored_layer(keras: Any, config: LayerConfig, layer: Any) -> Any:
    """The layer of a model that was saved to a file and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "layer.keras")
        model_of(keras, config, layer).save(path)
        return keras.saving.load_model(path).layers[-1]


def cloned_layer(keras: Any, config: LayerConfig, layer: Any) -> Any:
    """The layer of a cloned model, which is given the same weights."""
    model = model_of(keras, config, layer)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone.layers[-1]


def not_fitted(_: Any) -> None:
    """What stands in for the layers of a scaler before its first fit that succeeds. Raises RuntimeError."""
    raise RuntimeError("no fit has succeeded: there are no statistics")
