"""``tensorflow.fused`` and ``tensorflow.fused.xla``: the public function ``tf.compat.v1.nn.fused_batch_norm``, one operation for the
whole layer, eager or under tf.function(jit_compile=True), where XLA has its own batch normalization.

    tensorflow.folded   in inference after a convolution, in one tf.function, of which Grappler makes one operation

Source: https://www.tensorflow.org/api_docs/python/tf/compat/v1/nn/fused_batch_norm and https://www.tensorflow.org/guide/graph_optimization
"""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

import numpy as np

from bnspec.backends.tensorflow.common import TensorflowAdapter, TensorflowLayer, checkpointed
from bnspec.backends.tensorflow.network import TensorflowNetwork
from bnspec.backends.worker.folding import FINITE_ONLY, NO_VALUES, TOO_WIDE, WEIGHTS_AT_MOST, mixing
from bnspec.backends.worker.forward_only import NO_TRAINING, InferenceOnly
from bnspec.contract import Conventions, Declined, Gradients, LayerConfig, State
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind

#: data_format by rank, for a channel axis that comes first (axis 1) and last.
FORMATS = {4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}


#: On a GPU the gradients of inference are summed by atomic additions. Source: tf.config.experimental.enable_op_determinism, which
#: raises for "FusedBatchNorm ... when is_training=False" in a backward pass.
NOT_REPEATABLE = ("inference_gradients", "inference_some_gradients")


class TensorflowFused(TensorflowAdapter):
    """``tf.compat.v1.nn.fused_batch_norm`` with running statistics, eager.

    The kernels store the unbiased variance (a divisor of 1 where count is 1) and compute in float32; epsilon and the
    averaging factor are float32 attributes. scale and offset are required, float32 for every x.
    """

    conventions = Conventions(
        checks_arguments=True,
        running_correction=1,
        momentum_weighs="new",
        default_epsilon=1e-3,
        default_decay=0.0,
        decay_dtype="float32",
        epsilon_dtype="float32",
        state_dtype="float32",
        count_one="biased",
        dtypes=("float32", "bfloat16", "float16"),
        half_parameters=("float32",),
        ranks=(4, 5),
        channel_axes="first_and_last",
        layouts="normalised",
        mutable_tensors=False,
        affine_optional=False,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        if not self.place.startswith("/CPU"):
            self.conventions = dataclasses.replace(self.conventions, not_repeatable=NOT_REPEATABLE)

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> FusedLayer:
        """A layer whose four arrays become variables."""
        reason = self.conventions.declines(
            config.dtype, config.parameter_dtype, config.rank, config.channel_axis, config.affine
        )
        if reason:
            raise Declined(reason)
        return FusedLayer(self.tf, config, gamma, beta, running_mean, running_var)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TensorflowNetwork:
        """A network of operations around this layer; dense networks are declined, like every x of rank 2."""
        if kind.startswith("dense"):
            raise Declined("x of rank 2 is not supported")
        layer = None if kind.endswith("_plain") else self.layer(config, *(values[n] for n in PARAMETERS))
        return TensorflowNetwork(self.tf, kind, layer, learning_rate, values)


class TensorflowFusedXLA(TensorflowFused):
    """``tf.compat.v1.nn.fused_batch_norm``, compiled."""

    def layer(
        self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any
    ) -> CompiledFusedLayer:
        """The layer with compiled passes."""
        eager = super().layer(config, gamma, beta, running_mean, running_var)
        return CompiledFusedLayer(eager.tf, config, gamma, beta, running_mean, running_var)


class FusedLayer(TensorflowLayer):
    """One batch-normalization layer."""

    def __init__(
        self, tf: Any, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any
    ) -> None:
        super().__init__(tf)
        self.config = config
        self.data_format = FORMATS[config.rank][0 if config.channel_axis == 1 else 1]
        self.gamma, self.beta = tf.Variable(gamma), tf.Variable(beta)
        self.running_mean = tf.Variable(running_mean, trainable=False)
        self.running_var = tf.Variable(running_var, trainable=False)

    def training(self, x: Any) -> Any:
        """The training forward pass; moves the running statistics.

        exponential_avg_factor weighs the new value. According to the documentation, mean and variance "must be None" at 1.0.
        """
        factor = 1.0 - self.config.decay
        y, mean, var = self.tf.compat.v1.nn.fused_batch_norm(
            x,
            self.gamma,
            self.beta,
            mean=None if factor == 1.0 else self.running_mean,
            variance=None if factor == 1.0 else self.running_var,
            epsilon=self.config.epsilon,
            data_format=self.data_format,
            is_training=True,
            exponential_avg_factor=factor,
        )
        self.running_mean.assign(mean)
        self.running_var.assign(var)
        return y

    def inference(self, x: Any) -> Any:
        """The inference forward pass."""
        y, _, _ = self.tf.compat.v1.nn.fused_batch_norm(
            x,
            self.gamma,
            self.beta,
            mean=self.running_mean,
            variance=self.running_var,
            epsilon=self.config.epsilon,
            data_format=self.data_format,
            is_training=False,
        )
        return y

    def parameters(self) -> Sequence[Any]:
        """gamma and beta."""
        return [self.gamma, self.beta]

    def state(self) -> State:
        """The running statistics."""
        return State(self.running_mean, self.running_var)

    def restored(self) -> FusedLayer:
        """A layer over variables saved and read back."""
        return type(self)(self.tf, self.config, **checkpointed(self.tf, self.variables()))

    def copied(self) -> FusedLayer:
        """A layer over new variables with the same values."""
        return type(self)(self.tf, self.config, **self.variables())

    def variables(self) -> Dict[str, Any]:
        """The variables from which the layer was built."""
        return {n: getattr(self, n) for n in ("gamma", "beta", "running_mean", "running_var")}

    def set_decay(self, decay: float) -> None:
        """Pass another averaging factor from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class CompiledFusedLayer(FusedLayer):
    """One layer; each pass is compiled for each of its layers, as for the layers of a model."""

    def compiled(self, name: str, function: Any) -> Any:
        """The compiled function of this name, made once."""
        kept: Dict[str, Any] = self.__dict__.setdefault("functions", {})
        if name not in kept:
            kept[name] = self.tf.function(function, jit_compile=True)
        return kept[name]

    def training(self, x: Any) -> Any:
        """The compiled training pass."""
        return self.compiled("training", super().training)(x)

    def inference(self, x: Any) -> Any:
        """The compiled inference pass."""
        return self.compiled("inference", super().inference)(x)

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """Forward and backward in one compiled function."""
        eager = super().training if mode == "training" else super().inference

        def both(x: Any, dy: Any) -> Tuple[Any, ...]:
            return tuple(self.gradients_of(eager, x, dy))

        return Gradients(*self.compiled(mode + "_gradients", both)(x, dy))

    def set_decay(self, decay: float) -> None:
        """Compile again: the averaging factor is a constant."""
        super().set_decay(decay)
        self.__dict__["functions"] = {}


class TensorflowFolded(TensorflowFused):
    """A convolution and the operation in inference, in one tf.function: Grappler makes one operation of both."""

    conventions = dataclasses.replace(
        TensorflowFused.conventions, dtypes=("float32",), ranks=(4,), channel_axes="last", gradient_modes=()
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.both = self.tf.function(convolved_and_normalised(self.tf))

    def layer(self, config: LayerConfig, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
        """A layer over the four arrays."""
        return FoldedInferenceLayer(self, config, (gamma, beta), State(running_mean, running_var))

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TensorflowNetwork:
        """Raises Declined: what is folded is not trained."""
        raise Declined(NO_TRAINING)


class FoldedInferenceLayer(InferenceOnly):
    """The arrays, and the convolution whose result is the case's x: see ``worker.folding``."""

    def __init__(
        self, owner: TensorflowFolded, config: LayerConfig, parameters: Tuple[Any, Any], running: State
    ) -> None:
        self.owner, self.config, self.parameters, self.running = owner, config, parameters, running

    def inference(self, x: Any) -> Any:
        """y of the input of which the convolution makes x."""
        given, channels, tf = x.numpy(), self.config.channels, self.owner.tf
        if not given.size:
            raise Declined(NO_VALUES)
        if not np.isfinite(given).all():
            raise Declined(FINITE_ONLY)
        if channels * channels > WEIGHTS_AT_MOST:
            raise Declined(TOO_WIDE)
        sources, signs = mixing(channels, 1)
        weight, before = np.zeros((1, 1, channels, channels), np.float32), np.empty_like(given)
        weight[0, 0, sources, np.arange(channels)] = signs
        before[..., sources] = given * signs.astype(given.dtype)
        return self.owner.both(
            tf.constant(before), tf.constant(weight), *self.parameters, *self.running, self.config.epsilon
        )

    def state(self) -> State:
        """The statistics that were given."""
        return self.running


def convolved_and_normalised(tf: Any) -> Callable[..., Any]:
    """The function of both operations; epsilon is a constant of its graph."""

    def both(x: Any, weight: Any, gamma: Any, beta: Any, mean: Any, var: Any, epsilon: float) -> Any:
        z = tf.nn.conv2d(x, weight, 1, "VALID")
        return tf.compat.v1.nn.fused_batch_norm(z, gamma, beta, mean, var, epsilon=epsilon, is_training=False)[0]

    return both
