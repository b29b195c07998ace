"""``jax.numpy`` and ``jax.numpy.eager``: the layer as a user writes it in JAX, jitted or not, with JAX's own differentiation.

Compiled once per shape, dtype, channel axis and mode: epsilon and decay are arguments of the compiled functions. Half
precision input is widened to float32, in which everything is computed; results are rounded once at the end.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.backends.jax.layer_norm import WrittenLayerNorm, written
from bnspec.backends.jax.network import JaxNetwork, without
from bnspec.backends.jax.pure_layer import JITTED, Functions, Jitted, Parameters, WrittenLayer
from bnspec.contract import Conventions, Declined, LayerConfig, Scaler, State
from bnspec.model.call import Mode
from bnspec.model.vocabulary import NetworkKind


class JaxNumpy(JaxAdapter):
    """Batch and input normalization written with jax.numpy."""

    conventions = Conventions(
        checks_arguments=False,  # functions of arrays: JAX broadcasts whatever broadcasts
        running_correction=0,
        momentum_weighs="none",
        count_one="biased",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        ranks=(2, 3, 4, 5, 6),
        layouts="normalised",
        mutable_tensors=False,
        input_normalization=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        functions = NumpyFunctions(self.jax)
        self.jitted = functions.jitted("axis")
        self.jitted["rescale"] = self.jax.jit(functions.rescale, static_argnames=("axis", "mode"))
        self.jitted["moments"] = self.jax.jit(functions.moments, static_argnames="axis")
        self.normalising_samples = written(self.jax)
        self.jitted["merge"] = self.jax.jit(functions.merge)

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> WrittenLayer:
        """A layer that holds these arrays; a training step replaces the statistics."""
        return WrittenLayer(self.jitted, config, (gamma, beta), State(running_mean, running_var))

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> JaxNetwork:
        """A network with a pure step around this layer's functions."""
        forward = without if kind.endswith("_plain") else NumpyFunctions(self.jax).forward
        return JaxNetwork(self.jax, forward, kind, config, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> WrittenLayerNorm:
        """Written in the same way."""
        return WrittenLayerNorm(self.normalising_samples, config, gamma, beta)

    def scaler(self, config: LayerConfig) -> JaxScaler:
        """Input normalization by Chan's merge of chunk moments."""
        return JaxScaler(self.jitted, config.channel_axis)


class JaxEager(JaxNumpy):
    """Batch and input normalization written with jax.numpy; what XLA would fuse is rounded in between."""

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        functions = NumpyFunctions(self.jax)
        names = (*JITTED, "rescale", "moments", "merge")
        self.jitted = {name: getattr(functions, name) for name in names}


class NumpyFunctions(Functions):
    """The layer and the scaler; ``axis`` is x's channel axis."""

    def wide(self, x: Any, *channels: Any, axis: int) -> Any:
        """x and the (C,) arrays, shaped to broadcast against x, in the working precision: x's, at least float32."""
        work = self.jnp.promote_types(x.dtype, self.jnp.float32)
        shape = [-1 if a == axis else 1 for a in range(x.ndim)]
        return (x.astype(work), *(c.astype(work).reshape(shape) for c in channels))

    def moments(self, x: Any, axis: int, mask: Any = None) -> State:
        """mean = (1/m) sum x,   var = (1/m) sum (x - mean)^2,   over the m elements of a channel that the mask keeps."""
        (z,), axes = self.wide(x, axis=axis), tuple(a for a in range(x.ndim) if a != axis)
        mean = self.jnp.mean(z, axes, keepdims=True, where=mask)
        return State(mean.reshape(-1), self.jnp.mean(self.jnp.square(z - mean), axes, where=mask))

    def normalise(self, x: Any, parameters: Parameters, by: State, epsilon: float, axis: int) -> Any:
        """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, in the working precision."""
        z, mean, var = self.wide(x, *by, axis=axis)
        y = (z - mean) / self.jnp.sqrt(var + epsilon)
        if parameters[0] is not None:
            _, gamma, beta = self.wide(x, *parameters, axis=axis)
            y = gamma * y + beta
        return y

    def forward(
        self,
        x: Any,
        parameters: Parameters,
        running: State,
        *,
        mode: Mode,
        epsilon: float,
        decay: float,
        axis: int,
        mask: Any = None,
    ) -> Tuple[Any, State]:
        """y and the updated running statistics; only training on at least one value updates them."""

        def moved(old: Any, new: Any) -> Any:
            return (decay * old.astype(new.dtype) + (1.0 - decay) * new).astype(old.dtype)

        if mode == "inference" or x.size == 0:
            return self.normalise(x, parameters, running, epsilon, axis).astype(x.dtype), running
        # widened once: two conversions would round two parts of dx to x's dtype before they are added
        (z,) = self.wide(x, axis=axis)
        if mask is not None:  # select before use: multiplying by 0 later would not keep NaN out of a gradient
            z = self.jnp.where(mask, z, 0)
        batch = self.moments(z, axis, mask)
        after = State(moved(running.running_mean, batch.running_mean), moved(running.running_var, batch.running_var))
        if mask is not None:  # the moments of nothing are NaN
            after = State(*(self.jnp.where(mask.any(), new, old) for old, new in zip(running, after)))
        return self.normalise(z, parameters, batch, epsilon, axis).astype(x.dtype), after

    def merge(self, a: State, b: State, weight: float) -> State:
        """The moments of the union of two sets; ``weight`` is the share of set b's values."""
        delta = b.running_mean - a.running_mean
        within = (1.0 - weight) * a.running_var + weight * b.running_var
        return State(a.running_mean + weight * delta, within + delta * delta * (weight * (1.0 - weight)))

    def rescale(self, x: Any, learnt: State, count: int, axis: int, mode: str) -> Any:
        """(x - mean) / scale, or in mode "inverse" x * scale + mean; scale is sqrt(var), or 1 where var is rounding noise."""
        z, mean, var = self.wide(x, *learnt, axis=axis)
        reach = count * self.jnp.finfo(z.dtype).eps
        noise = reach * var + self.jnp.square(reach * mean)
        scale = self.jnp.where(var <= noise, 1, self.jnp.sqrt(var))
        return (z * scale + mean if mode == "inverse" else (z - mean) / scale).astype(x.dtype)


class JaxScaler(Scaler):
    """Input normalization; a constant feature is divided by 1."""

    def __init__(self, jitted: Jitted, axis: int) -> None:
        self.jitted, self.axis = jitted, axis

    def fit(self, chunks: Sequence[Any]) -> None:
        """Merge the moments of the non-empty chunks."""
        learnt, total = None, 0
        for chunk in chunks:
            if chunk.size:
                total += chunk.size
                moments = self.jitted["moments"](chunk, axis=self.axis)
                learnt = moments if learnt is None else self.jitted["merge"](learnt, moments, chunk.size / total)
        if learnt is None:
            raise Declined("a training set without values has no statistics")
        self.learnt, self.count = learnt, total // learnt.running_mean.size

    def transform(self, x: Any) -> Any:
        """(x - mean) / std."""
        return self.jitted["rescale"](x, self.learnt, self.count, axis=self.axis, mode="transform")

    def inverse(self, y: Any) -> Any:
        """y * std + mean."""
        return self.jitted["rescale"](y, self.learnt, self.count, axis=self.axis, mode="inverse")

    def statistics(self) -> State:
        """The fitted mean and variance."""
        return self.learnt
