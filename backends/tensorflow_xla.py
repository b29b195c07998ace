"""``tensorflow.xla``: the layer from ``tf.nn.moments`` and ``tf.nn.batch_normalization``, in a train step compiled by XLA.

Forward pass, tape and moving average are one tf.function(jit_compile=True), which is how train steps are compiled by hand, and
what Model.fit of Keras does by default where XLA can compile the model. The step is a pure function of tensors here, so that
layers of one configuration share what was compiled for a shape; epsilon and decay are constants in it.

Source: https://www.tensorflow.org/xla/tutorials/jit_compile
"""

from __future__ import annotations

from typing import Any, Sequence, Tuple

from bnspec.backends.tensorflow_common import TensorflowAdapter
from bnspec.contract import Gradients, Layer, LayerConfig, Profile, State


class TensorflowXLA(TensorflowAdapter):
    """``tf.nn.moments`` and ``tf.nn.batch_normalization`` under XLA.

    Everything is asked for in x's dtype, save that ``tf.nn.moments`` reduces float16 (not bfloat16) in float32 and rounds the
    moments to float16. An empty batch, known by its shape, is left out of the moving average.
    """

    profile = Profile(
        checks_arguments=True,
        running_correction=0,
        momentum_weighs="none",
        count_one="biased",
        empty_batch="keeps_state",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        layouts="normalised",
        mutable_tensors=False,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        functions = Functions(self.tf)
        self.forward = self.tf.function(functions.forward, jit_compile=True)
        self.gradients = self.tf.function(functions.gradients, jit_compile=True)

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> CompiledLayer:
        """A layer whose four arrays become variables."""
        weights = [self.tf.Variable(p) for p in (gamma, beta) if p is not None]
        running = State(*(self.tf.Variable(s, trainable=False) for s in (running_mean, running_var)))
        return CompiledLayer(self, config, weights, running)


class Functions:
    """What is compiled. x, dy, parameters (gamma and beta, or nothing) and state are tensors, all else are constants."""

    def __init__(self, tf: Any) -> None:
        self.tf = tf

    def forward(
        self,
        x: Any,
        parameters: Sequence[Any],
        state: Sequence[Any],
        axis: int,
        epsilon: float,
        decay: float,
        mode: str,
    ) -> Tuple[Any, Sequence[Any]]:
        """y and the running statistics after it; only training with at least one value moves them."""
        tf, axes = self.tf, [a for a in range(x.shape.rank) if a != axis]
        shape = [-1 if a == axis else 1 for a in range(x.shape.rank)]
        gamma, beta = (tf.reshape(p, shape) for p in parameters) if parameters else (None, None)
        if mode == "training":
            mean, var = tf.nn.moments(x, axes, keepdims=True)
            if x.shape.num_elements():  # the moments of nothing are NaN
                moments = [tf.reshape(m, [-1]) for m in (mean, var)]
                state = [old * decay + new * (1.0 - decay) for old, new in zip(state, moments)]
        else:
            mean, var = (tf.reshape(s, shape) for s in state)
        return tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon), state

    def gradients(self, x: Any, dy: Any, parameters: Sequence[Any], *others: Any) -> Tuple[Any, ...]:
        """y, [dx, dgamma, dbeta] from a tape, and the running statistics after it."""
        with self.tf.GradientTape() as tape:
            tape.watch([x, *parameters])
            y, after = self.forward(x, parameters, *others)
        return y, tape.gradient(y, [x, *parameters], output_gradients=dy), after


class CompiledLayer(Layer):
    """One batch-normalization layer: its variables, and the compiled functions of its adapter."""

    def __init__(self, owner: TensorflowXLA, config: LayerConfig, weights: Sequence[Any], running: State) -> None:
        self.owner, self.config, self.weights, self.running = owner, config, weights, running

    def arguments(self, mode: str) -> Tuple[Any, ...]:
        """What a compiled function takes besides x and dy."""
        parameters, state = ([v.value() for v in variables] for variables in (self.weights, self.running))
        return parameters, state, self.config.channel_axis, self.config.epsilon, self.config.decay, mode

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics."""
        y, after = self.owner.forward(x, *self.arguments("training"))
        self.move(after)
        return y

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        return self.owner.forward(x, *self.arguments("inference"))[0]

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in training mode; moves the running statistics."""
        y, gradients, after = self.owner.gradients(x, dy, *self.arguments("training"))
        self.move(after)
        return Gradients(y, *gradients, *([None, None] if not self.weights else []))

    def inference_gradients(self, x: Any, dy: Any) -> Gradients:
        """Forward and backward in inference mode."""
        y, gradients, _ = self.owner.gradients(x, dy, *self.arguments("inference"))
        return Gradients(y, *gradients, *([None, None] if not self.weights else []))

    def move(self, after: Sequence[Any]) -> None:
        """Assign the running statistics that a training step gave."""
        for variable, value in zip(self.running, after):
            variable.assign(value)

    def state(self) -> State:
        """The running statistics."""
        return self.running
