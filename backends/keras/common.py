"""Shared by the Keras adapters on every Keras backend: conventions, dtype policies, operations between calls, the scaler."""

from __future__ import annotations

import abc
import importlib
import os
import tempfile
from typing import Any, List, Optional, Sequence, Tuple

from bnspec.contract import Adapter, Conventions, Layer, LayerConfig, Scaler, State
from bnspec.model.conventions import HALVES

#: The layers' conventions on every Keras backend with immutable tensors.
CONVENTIONS = Conventions(
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
    integers=True,
    input_normalization=True,
)
#: The conventions of keras.ops.moments and keras.ops.batch_normalization, with a moving average that their user writes.
OPS_CONVENTIONS = Conventions(
    checks_arguments=False,  # functions of arrays, which reshape and broadcast
    running_correction=0,
    momentum_weighs="none",
    default_epsilon=1e-3,
    count_one="biased",
    empty_batch="keeps_state",
    half_statistics="input",
    half_arithmetic="input",
    dtypes=("float64", "float32", "bfloat16", "float16"),
    half_parameters=("input",),
    layouts="normalised",
    mutable_tensors=False,
    integers=True,
)


def open_keras(backend: str) -> Any:
    """The keras module on this Keras backend; Keras reads KERAS_BACKEND once, on import."""
    os.environ["KERAS_BACKEND"] = backend
    return importlib.import_module("keras")


def policy(config: LayerConfig) -> str:
    """The name of the Keras dtype policy with these dtypes of computation and of weights."""
    mixed = config.dtype in HALVES and config.parameter_dtype == "float32"
    return "mixed_" + config.dtype if mixed else config.dtype


def open_shape(config: LayerConfig) -> Tuple[Optional[int], ...]:
    """The shape of x for building a Keras layer: only the channel axis has an extent."""
    return tuple(config.channels if a == config.channel_axis else None for a in range(config.rank))


def built_layer(keras: Any, config: LayerConfig, **options: Any) -> Any:
    """A ``keras.layers.BatchNormalization`` whose weights exist and have their initial values; ``options``: further ones."""
    layer = keras.layers.BatchNormalization(
        axis=config.channel_axis,
        momentum=config.decay,
        epsilon=config.epsilon,
        center=config.affine,
        scale=config.affine,
        dtype=policy(config),
        **options,
    )
    layer.build(open_shape(config))
    return layer


def assign(layer: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> None:
    """Assign these values to the layer's weights; gamma and beta are None if it has none."""
    if gamma is not None:
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
    layer.moving_mean.assign(running_mean)
    layer.moving_variance.assign(running_var)


def keras_mask(config: LayerConfig, mask: Any) -> Any:
    """The mask in Keras's form, without the channel axis."""
    return mask[tuple(0 if a == config.channel_axis else slice(None) for a in range(config.rank))]


def model_of(keras: Any, config: LayerConfig, layer: Any) -> Any:
    """A model that contains only this layer, for saving and cloning."""
    return keras.Sequential([keras.Input(batch_shape=open_shape(config), dtype=config.dtype), layer])


def restored_layer(keras: Any, config: LayerConfig, layer: Any) -> Any:
    """The layer of a model saved to a file and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "layer.keras")
        model_of(keras, config, layer).save(path)
        return keras.saving.load_model(path).layers[-1]


def cloned_layer(keras: Any, config: LayerConfig, layer: Any) -> Any:
    """The layer of a cloned model, with the same weights assigned."""
    model = model_of(keras, config, layer)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone.layers[-1]


def not_fitted(_: Any) -> None:
    """Placeholder for a scaler's layers where a fit has failed. Raises RuntimeError."""
    raise RuntimeError("no fit has succeeded: there are no statistics")


#: Why a backend of ``Normalization`` alone declines layers.
SCALER_ONLY = "this backend is of keras.layers.Normalization alone"


class BuildsLayers(Adapter):
    """An adapter whose ``new_layer`` holds a Keras layer as ``layer``."""

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """A layer whose weights are assigned these tensors."""
        new: Any = self.new_layer(config)
        assign(new.layer, gamma, beta, running_mean, running_var)
        return new


class StatefulLayer(Layer):
    """One ``keras.layers.BatchNormalization``, which holds its own state. Subclasses define both passes and ``over``."""

    keras: Any
    config: LayerConfig
    layer: Any

    @abc.abstractmethod
    def over(self, layer: Any) -> StatefulLayer:
        """The same configuration around another Keras layer."""

    def parameters(self) -> List[Any]:
        """The tensors of the currently trainable weights."""
        return [weight.value for weight in self.layer.trainable_weights]

    def state(self) -> State:
        """The running statistics."""
        return State(self.layer.moving_mean.value, self.layer.moving_variance.value)

    def restored(self) -> StatefulLayer:
        """The layer of a model saved to a file and loaded."""
        return self.over(restored_layer(self.keras, self.config, self.layer))

    def copied(self) -> StatefulLayer:
        """The layer of a cloned model, with the same weights assigned."""
        return self.over(cloned_layer(self.keras, self.config, self.layer))

    def freeze(self, frozen: bool) -> None:
        """Set ``trainable``; a layer that is not trainable runs in inference mode."""
        self.layer.trainable = not frozen

    def set_decay(self, decay: float) -> None:
        """Set the layer's momentum."""
        self.layer.momentum = decay


class NormScaler(Scaler):
    """One ``keras.layers.Normalization``, and a second one that inverts it; eager."""

    def __init__(self, keras: Any, config: LayerConfig) -> None:
        self.keras, self.config = keras, config
        self.forward: Any = keras.layers.Normalization(axis=config.channel_axis, dtype=policy(config))
        self.backward: Any = not_fitted

    def dataset(self, chunks: Sequence[Any]) -> Any:
        """The batches as a list, the argument of ``adapt``."""
        return list(chunks)

    def fit(self, chunks: Sequence[Any]) -> None:
        """Adapt to the batches, and copy the statistics to the inverting layer."""
        self.forward = self.backward = not_fitted
        options = {"axis": self.config.channel_axis, "dtype": policy(self.config)}
        forward = self.keras.layers.Normalization(**options)
        forward.adapt(self.dataset(chunks))
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


class TensorScaler(NormScaler):
    """Input normalization adapted to one tensor of the whole training set, by other code than batches."""

    def dataset(self, chunks: Sequence[Any]) -> Any:
        """The chunks as one tensor."""
        return self.keras.ops.concatenate(list(chunks), axis=0)


class CarriedScaler(TensorScaler):
    """Input normalization by a clone of the adapted layer, to which ``set_weights`` carries the statistics."""

    def fit(self, chunks: Sequence[Any]) -> None:
        """Adapt a layer, clone the model of it and carry the weights over."""
        super().fit(chunks)
        given = self.keras.Input(batch_shape=open_shape(self.config), dtype=self.config.dtype)
        model = self.keras.Sequential([given, self.forward])
        clone = self.keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        self.forward = clone.layers[-1]


class ArrayScaler(TensorScaler):
    """Input normalization adapted to one NumPy array of the whole training set, whose statistics NumPy computes."""

    def dataset(self, chunks: Sequence[Any]) -> Any:
        """The chunks as one array."""
        return self.keras.ops.convert_to_numpy(super().dataset(chunks))


def moments_but(ops: Any, x: Any, axis: int) -> Any:
    """``keras.ops.moments`` over all axes but one. One value per channel is given without its other axes: over none."""
    others = [a for a in range(len(x.shape)) if a != axis]
    if all(x.shape[a] == 1 for a in others):
        return ops.moments(ops.reshape(x, (x.shape[axis],)), [])
    return ops.moments(x, others)
