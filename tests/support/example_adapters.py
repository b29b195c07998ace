"""Example adapters from outside the package: a correct one, a wrong one, and some that crash, raise or stall."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bnspec.contract import Adapter, Conventions, Declined, Gradients, Layer, LayerConfig, State

Array = Any


class RightLayer(Layer):
    """Batch normalization in NumPy, float64 inside."""

    def __init__(self, config: LayerConfig, gamma: Array, beta: Array, mean: Array, var: Array) -> None:
        self.config, self.mean, self.var = config, mean, var
        shape = config.channel_shape
        self.gamma = np.ones(shape) if gamma is None else gamma.astype(np.float64).reshape(shape)
        self.beta = np.zeros(shape) if beta is None else beta.astype(np.float64).reshape(shape)

    def inv_std(self, var: Array) -> Array:
        """1 / sqrt(var + epsilon)."""
        return 1.0 / np.sqrt(var + self.config.epsilon)

    def pass_(self, x: Array, dy: Array | None, training: bool) -> Any:
        """Forward, and backward when there is a cotangent."""
        c, axes, wide = self.config, self.config.reduce_axes, x.astype(np.float64)
        if training and x.size:
            mean, var = wide.mean(axis=axes, keepdims=True), wide.var(axis=axes, keepdims=True)
            for old, new in ((self.mean, mean), (self.var, var)):
                old[:] = c.decay * old + (1 - c.decay) * new.reshape(-1)
        else:
            mean, var = (v.astype(np.float64).reshape(c.channel_shape) for v in (self.mean, self.var))
        inv_std = self.inv_std(var)
        zhat = (wide - mean) * inv_std
        y = (self.gamma * zhat + self.beta).astype(x.dtype)
        if dy is None:
            return y
        g = dy.astype(np.float64)
        inner = g
        if training and x.size:
            inner = g - g.mean(axis=axes, keepdims=True) - zhat * (g * zhat).mean(axis=axes, keepdims=True)
        sums = [v.sum(axis=axes).astype(self.mean.dtype) for v in (g * zhat, g)] if c.affine else [None, None]
        return Gradients(y, (self.gamma * inv_std * inner).astype(x.dtype), *sums)

    def training(self, x: Array) -> Array:
        """y in training."""
        return self.pass_(x, None, training=True)

    def inference(self, x: Array) -> Array:
        """y in inference."""
        return self.pass_(x, None, training=False)

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        """Forward and backward in training."""
        return self.pass_(x, dy, training=True)

    def inference_gradients(self, x: Array, dy: Array) -> Gradients:
        """Forward and backward in inference."""
        return self.pass_(x, dy, training=False)

    def state(self) -> State:
        """The running statistics."""
        return State(self.mean, self.var)


class WrongLayer(RightLayer):
    """Epsilon outside the root."""

    def inv_std(self, var: Array) -> Array:
        """1 / (sqrt(var) + epsilon)."""
        return 1.0 / (np.sqrt(var) + self.config.epsilon)


class Right(Adapter):
    """Conforms."""

    conventions = Conventions(running_correction=0, dtypes=("float32", "float64"))
    layer_class: type = RightLayer

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Layer:
        """A layer of the class under test."""
        return self.layer_class(config, gamma, beta, running_mean, running_var)


class Wrong(Right):
    """Deviates."""

    layer_class = WrongLayer


class ForwardLayer(RightLayer):
    """Without gradients."""

    def training_gradients(self, x: Array, dy: Array) -> Gradients:
        """None."""
        raise Declined("no gradients here")

    inference_gradients = training_gradients


class ForwardAlone(Right):
    """Computes no gradients, and says so."""

    conventions = dataclasses.replace(Right.conventions, gradient_modes=())
    layer_class = ForwardLayer


class GuessesTheAxis(ForwardAlone):
    """Takes the last axis for that of the channels, where its extent is their number."""

    class layer_class(ForwardLayer):  # noqa: N801  # fills the slot
        """Inference by a guessed axis."""

        def inference(self, x: Array) -> Array:
            """Right where no other axis has as many values."""
            c = self.config
            if x.shape[-1] != c.channels or c.channel_axis == x.ndim - 1:
                return super().inference(x)
            return np.swapaxes(super().inference(np.swapaxes(x, c.channel_axis, -1)), c.channel_axis, -1)


class Dying(Right):
    """Kills its own process on rank-3 input, as often as the environment says."""

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Dies in training."""

        def training(self, x: Array) -> Array:
            """Kill the process the first times; the size of a marker file records how often."""
            marker = Path(os.environ["EXAMPLE_MARKER"])
            deaths = marker.stat().st_size if marker.exists() else 0
            if x.ndim == 3 and deaths < int(os.environ.get("EXAMPLE_DEATHS", "1")):
                marker.write_text("x" * (deaths + 1))
                os.kill(os.getpid(), signal.SIGKILL)
            return super().training(x)


class Aborting(Right):
    """Ends its process wherever float64 data have five channels."""

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Ends it when it is built."""

        def __init__(self, config: LayerConfig, gamma: Array, beta: Array, mean: Array, var: Array) -> None:
            if (config.dtype, config.channels) == ("float64", 5):
                os.kill(os.getpid(), signal.SIGSEGV)
            super().__init__(config, gamma, beta, mean, var)


class TunedInTheFirstCall(Right):
    """Updates the running statistics twice in the first call of a shape and dtype in a process, as a kernel that is run twice."""

    forms: ClassVar[set[Any]] = set()

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Looks up whether the form is new."""

        def training(self, x: Array) -> Array:
            """y; the first time the update is made twice."""
            form = (x.shape, x.dtype)
            if form not in TunedInTheFirstCall.forms:
                TunedInTheFirstCall.forms.add(form)
                super().training(x)
            return super().training(x)


class KeepsTheLargestCount(Right):
    """Doubles the running mean after a batch far smaller than the largest in this process, as a buffer kept between layers may."""

    largest: ClassVar[list[int]] = [0]

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Remembers the largest batch."""

        def training(self, x: Array) -> Array:
            """y."""
            y = super().training(x)
            KeepsTheLargestCount.largest[0] = max(KeepsTheLargestCount.largest[0], x.size)
            if KeepsTheLargestCount.largest[0] > 10 * x.size:
                self.mean *= 2
            return y


class Slow(Right):
    """Runs slowly, so that it can be killed from outside."""

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Sleeps in training."""

        def training(self, x: Array) -> Array:
            """y, after a while."""
            time.sleep(0.02)
            return super().training(x)


class Raising(Right):
    """Fails in training with gradients."""

    class layer_class(RightLayer):  # noqa: N801  # fills the slot
        """Has no such kernel."""

        def training_gradients(self, x: Array, dy: Array) -> Gradients:
            """Raises."""
            raise RuntimeError("no kernel for this")


class Incomplete(Adapter):
    """Lacks its one abstract method."""
