"""Keras models that TensorFlow's converter made LiteRT models of, run by LiteRT's interpreter. Inference only.

    litert          the layer BatchNormalization, which becomes a product and a sum
    litert.folded   a convolution and the layer after it, which become one convolution; channels come last

Source: https://ai.google.dev/edge/litert/models/convert_tf
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
from typing import Any, Dict, List

import numpy as np

from bnspec.backends.worker.folding import FINITE_ONLY, NO_VALUES, TOO_WIDE, WEIGHTS_AT_MOST, mixing
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Adapter, Conventions, Declined, LayerConfig, State

#: How many converted models are kept.
KEPT = 64


class Litert(Adapter):
    """Models of one layer, in float32, with open extents but for the channels."""

    framework = "ai_edge_litert"
    conventions = Conventions(
        momentum_weighs="none",
        default_epsilon=1e-3,
        default_decay=0.99,
        epsilon_dtype="float32",
        dtypes=("float32",),
        ranks=(2, 3, 4, 5),
        channel_axes="any",
        layouts="normalised",
        mutable_tensors=False,
        gradient_modes=(),
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras
        import tensorflow
        from ai_edge_litert import interpreter

        self.keras, self.tensorflow, self.interpreter = keras, tensorflow, interpreter
        self.thread_count = 0
        self.models: Dict[Any, bytes] = {}

    def versions(self) -> Dict[str, str]:
        """Versions of LiteRT, and of what makes its models."""
        packages = {"ai_edge_litert": "ai-edge-litert", "tensorflow": "tensorflow-cpu", "keras": "keras"}
        return {name: importlib.metadata.version(package) for name, package in packages.items()}

    def tensor(self, array: np.ndarray) -> np.ndarray:
        """A packed copy."""
        return array.copy(order="C")

    def use_threads(self, count: int) -> None:
        """Interpreters made from now on use so many threads; 0: LiteRT's choice."""
        self.thread_count = count

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ModelLayer:
        """The converted model of these values."""
        given = [a for a in (gamma, beta, running_mean, running_var) if a is not None]
        return ModelLayer(self.interpreted(config, given), State(running_mean, running_var))

    def interpreted(self, config: LayerConfig, given: List[Any]) -> Any:
        """An interpreter of the model, which is converted once: that takes a second."""
        key = (config, *(array.tobytes() for array in given))
        if key not in self.models:
            if len(self.models) == KEPT:
                self.models.clear()
            model = self.model_of(config, given)
            self.models[key] = self.tensorflow.lite.TFLiteConverter.from_keras_model(model).convert()
        return self.interpreter.Interpreter(model_content=self.models[key], num_threads=self.thread_count or None)

    def normalization(self, config: LayerConfig) -> Any:
        """The layer of Keras."""
        return self.keras.layers.BatchNormalization(
            axis=config.channel_axis, epsilon=config.epsilon, center=config.affine, scale=config.affine
        )

    def model_of(self, config: LayerConfig, given: Any) -> Any:
        """The model of Keras."""
        layer = self.normalization(config)
        x = self.open_input(config)
        model = self.keras.Model(x, layer(x))
        layer.set_weights(given)
        return model

    def open_input(self, config: LayerConfig) -> Any:
        """x, all of whose extents but the channels' are open."""
        extents = [config.channels if a == config.channel_axis else None for a in range(1, config.rank)]
        return self.keras.Input(extents, config.channels if config.channel_axis == 0 else None)


class ModelLayer(InferenceOnly):
    """One interpreter."""

    def __init__(self, interpreter: Any, running: State) -> None:
        self.interpreter, self.running = interpreter, running
        self.x, self.y = (d[0]["index"] for d in (interpreter.get_input_details(), interpreter.get_output_details()))

    def inference(self, x: Any) -> Any:
        """The model's y."""
        self.interpreter.resize_tensor_input(self.x, x.shape)
        self.interpreter.allocate_tensors()
        self.interpreter.set_tensor(self.x, x)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.y)

    def state(self) -> State:
        """What was given."""
        return self.running


class LitertFolded(Litert):
    """Models of a convolution and the layer."""

    conventions = dataclasses.replace(Litert.conventions, ranks=(3, 4, 5), channel_axes="last")

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> ModelLayer:
        """The converted model of both."""
        if config.channels**2 > WEIGHTS_AT_MOST:
            raise Declined(TOO_WIDE)
        layer = super().layer(config, gamma, beta, running_mean, running_var)
        return FoldedLayer(layer.interpreter, layer.running, *mixing(config.channels, 1))

    def model_of(self, config: LayerConfig, given: List[Any]) -> Any:
        """The model of Keras. The convolution's bias is the running mean, and the layer's mean is twice that."""
        *parameters, mean, variance = given
        sources, signs = mixing(config.channels, 1)
        with np.errstate(all="ignore"):
            bias = np.where(np.isfinite(2.0 * mean), mean, np.zeros_like(mean))
        weight = np.zeros((config.channels, config.channels), np.float32)
        weight[sources, np.arange(config.channels)] = signs
        before = getattr(self.keras.layers, "Conv%dD" % (config.rank - 2))(config.channels, 1)
        layer, x = self.normalization(config), self.open_input(config)
        model = self.keras.Model(x, layer(before(x)))
        before.set_weights([weight.reshape(*[1] * (config.rank - 2), *weight.shape), bias])
        layer.set_weights([*parameters, mean + bias, variance])
        return model


class FoldedLayer(ModelLayer):
    """One interpreter, and the order and signs of the channels that make the convolution's output x."""

    def __init__(self, interpreter: Any, running: State, sources: np.ndarray, signs: np.ndarray) -> None:
        super().__init__(interpreter, running)
        self.sources, self.signs = sources, signs

    def inference(self, x: Any) -> Any:
        """The model's y of the input of which the convolution makes x."""
        if not x.size:
            raise Declined(NO_VALUES)
        if not np.isfinite(x).all():
            raise Declined(FINITE_ONLY)
        given = np.empty(x.shape, x.dtype)
        given[..., self.sources] = x * self.signs.astype(x.dtype)
        return super().inference(given)
