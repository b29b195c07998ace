"""``tensorflow.xla`` and ``tensorflow.nn.function``: ``tf.nn.moments`` and ``tf.nn.batch_normalization`` in a train step,
compiled by XLA or run as a graph.

Forward pass, tape and moving average are one tf.function(jit_compile=True), as in hand-compiled train steps and, where XLA can
compile the model, in Keras's Model.fit by default. The step is a pure function of tensors here, so layers of one configuration
share the code compiled for a shape; epsilon and decay are constants in it.

Source: https://www.tensorflow.org/xla/tutorials/jit_compile
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Tuple

from bnspec.backends.tensorflow.common import TensorflowAdapter
from bnspec.backends.tensorflow.moments_layer import CONVENTIONS, MomentsLayer, VariablesLayer
from bnspec.backends.worker.mode_layer import LayerByMode
from bnspec.contract import Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import INFERENCE, TRAINING, TRAINING_MASKED, TRAINING_MASKED_GRADIENTS, Call, Mode, call_of

#: See ``Conventions.root_roundings``: XLA's GPU code takes sqrt.approx and div.full, or rsqrt.approx. Source: PTX ISA.
GPU_ROOT_ROUNDINGS = 7.0


class TensorflowXLA(TensorflowAdapter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` under XLA.

    Everything is computed in x's dtype, except that ``tf.nn.moments`` reduces float16 (not bfloat16) in float32 and rounds the
    moments to float16. The moving average skips an empty batch, which is recognised by its shape.
    """

    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        if not self.place.startswith("/CPU"):
            changes: Dict[str, Any] = {"programs_apart": True, "root_roundings": GPU_ROOT_ROUNDINGS}
            self.conventions = dataclasses.replace(self.conventions, **changes)
        self.step = self.tf.function(self.traced, jit_compile=True)

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> CompiledLayer:
        """A layer whose four arrays become variables."""
        settings = config.channel_axis, config.epsilon, config.decay
        running = State(running_mean, running_var)
        return CompiledLayer(self, VariablesLayer(self.tf, *settings, gamma, beta, running))

    def traced(
        self,
        call: str,
        inputs: Tuple[Any, ...],
        weights: Tuple[Any, Any],
        running: State,
        axis: int,
        epsilon: float,
        decay: float,
    ) -> Tuple[Any, State]:
        """The compiled function: one call of the contract by name, and the updated running statistics.

        Args: inputs, weights (gamma and beta, or None and None) and running are tensors; all other arguments are constants.
        """
        layer = TracedLayer(self.tf, axis, epsilon, decay, *weights, running)
        return getattr(layer, call)(*inputs), layer.running


class TensorflowFunction(TensorflowXLA):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` in one graph: forward pass, tape and moving average."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.step = self.tf.function(self.traced)


class TracedLayer(MomentsLayer):
    """The layer over tensors, during tracing."""

    def move(self, after: State) -> None:
        """Replace the running statistics by these tensors."""
        self.running = after


class CompiledLayer(LayerByMode):
    """One batch-normalization layer: its variables, and the compiled step of its adapter."""

    def __init__(self, owner: TensorflowXLA, held: VariablesLayer) -> None:
        self.owner, self.held = owner, held

    def call(self, call: Call, *inputs: Any) -> Any:
        """The result of the compiled step; a training step also assigns the running statistics."""
        held = self.held
        weights = tuple(None if v is None else v.value() for v in (held.gamma, held.beta))
        running = State(*(v.value() for v in held.running))
        result, after = self.owner.step(call.name, inputs, weights, running, held.axis, held.epsilon, held.decay)
        if call.mode == "training":
            held.move(after)
        return result

    def training(self, x: Any) -> Any:
        """The training forward pass."""
        return self.call(TRAINING, x)

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.call(INFERENCE, x)

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """Forward and backward."""
        return self.call(call_of(mode, "gradients"), x, dy)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Forward and backward with a tape that watches only the wanted sources."""
        return self.call(call_of(mode, "some_gradients"), x, dy, wanted)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """A tape around a tape."""
        return self.call(call_of(mode, "second_order"), x, dy, v)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """A forward accumulator."""
        return self.call(call_of(mode, "tangent"), x, v)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The training forward pass by ``tf.nn.weighted_moments``."""
        return self.call(TRAINING_MASKED, x, mask)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """Forward and backward with a mask."""
        return self.call(TRAINING_MASKED_GRADIENTS, x, dy, mask)

    def state(self) -> State:
        """The running statistics."""
        return self.held.state()

    def restored(self) -> CompiledLayer:
        """A layer over variables saved and read back."""
        return CompiledLayer(self.owner, self.held.restored())

    def copied(self) -> CompiledLayer:
        """A layer over new variables with the same values."""
        return CompiledLayer(self.owner, self.held.copied())

    def set_decay(self, decay: float) -> None:
        """Average with another decay from the next call on; it is a constant in the compiled step."""
        self.held.set_decay(decay)

    def freeze(self, frozen: bool) -> None:
        """Raises Declined."""
        self.held.freeze(frozen)

    def reset(self) -> None:
        """Raises Declined."""
        self.held.reset()
