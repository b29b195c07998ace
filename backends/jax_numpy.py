"""``jax.numpy``: the layer as one writes it in JAX, jitted, with JAX's own differentiation.

Compiled once per shape, dtype, channel axis and mode: epsilon and decay are arguments of the compiled functions. Half
precision input is widened to float32, in which everything is computed; results are rounded once at the end.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

from bnspec.backends.by_mode import GRADIENTS
from bnspec.backends.jax_common import JaxAdapter, JaxLayer
from bnspec.backends.jax_network import JaxNetwork
from bnspec.contract import Declined, Gradients, LayerConfig, Profile, Scaler, SecondOrder, State, Tangent

Jitted = Dict[str, Callable[..., Any]]


class JaxNumpy(JaxAdapter):
    """Batch and input normalization written with jax.numpy."""

    profile = Profile(
        checks_arguments=True,
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
        functions = Functions(self.jax)
        by_mode = (functions.forward, functions.gradients, functions.second_order, functions.tangent, functions.rescale)
        self.jitted = {f.__name__: self.jax.jit(f, static_argnames=("axis", "mode")) for f in by_mode}
        self.jitted["some_gradients"] = self.jax.jit(
            functions.some_gradients, static_argnames=("axis", "mode", "wanted")
        )
        self.jitted["moments"] = self.jax.jit(functions.moments, static_argnames="axis")
        self.jitted["merge"] = self.jax.jit(functions.merge)

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> JaxNumpyLayer:
        """A layer that holds these arrays; a training step puts new ones in the place of the statistics."""
        return JaxNumpyLayer(self.jitted, config, (gamma, beta), State(running_mean, running_var))

    def network(self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]) -> JaxNetwork:
        """A pure step around this layer's functions."""
        return JaxNetwork(self.jax, Functions(self.jax).forward, kind, config, learning_rate, values)

    def scaler(self, config: LayerConfig) -> JaxScaler:
        """Input normalization by Chan's merge of chunk moments."""
        return JaxScaler(self.jitted, config.channel_axis)


class Functions:
    """Pure functions of JAX arrays; ``axis`` is x's channel axis, statistics and parameters have shape (C,)."""

    def __init__(self, jax: Any) -> None:
        self.jax, self.jnp = jax, jax.numpy

    def wide(self, x: Any, *channels: Any, axis: int) -> Any:
        """x and the (C,) arrays, shaped to broadcast against x, in the working precision: x's, at least float32."""
        work = self.jnp.promote_types(x.dtype, self.jnp.float32)
        shape = [-1 if a == axis else 1 for a in range(x.ndim)]
        return (x.astype(work), *(c.astype(work).reshape(shape) for c in channels))

    def moments(self, x: Any, axis: int) -> State:
        """mean = (1/m) sum x,   var = (1/m) sum (x - mean)^2."""
        (z,), axes = self.wide(x, axis=axis), tuple(a for a in range(x.ndim) if a != axis)
        mean = self.jnp.mean(z, axes, keepdims=True)
        return State(mean.reshape(-1), self.jnp.mean(self.jnp.square(z - mean), axes))

    def normalise(self, x: Any, parameters: Tuple[Any, Any], by: State, epsilon: float, axis: int) -> Any:
        """y = gamma * (x - mean) / sqrt(var + epsilon) + beta, in the working precision."""
        z, mean, var = self.wide(x, *by, axis=axis)
        y = (z - mean) / self.jnp.sqrt(var + epsilon)
        if parameters[0] is not None:
            _, gamma, beta = self.wide(x, *parameters, axis=axis)
            y = gamma * y + beta
        return y

    def forward(
        self, x: Any, parameters: Tuple[Any, Any], running: State, epsilon: float, decay: float, axis: int, mode: str
    ) -> Tuple[Any, State]:
        """y and the running statistics after it; only training with at least one value moves them."""

        def moved(old: Any, new: Any) -> Any:
            return (decay * old.astype(new.dtype) + (1.0 - decay) * new).astype(old.dtype)

        if mode == "inference" or x.size == 0:
            return self.normalise(x, parameters, running, epsilon, axis).astype(x.dtype), running
        # widened once: two conversions would round two parts of dx to x's dtype before they are added
        (z,) = self.wide(x, axis=axis)
        batch = self.moments(z, axis)
        after = State(moved(running.running_mean, batch.running_mean), moved(running.running_var, batch.running_var))
        return self.normalise(z, parameters, batch, epsilon, axis).astype(x.dtype), after

    def gradients(self, x: Any, dy: Any, parameters: Tuple[Any, Any], *others: Any, **static: Any) -> Any:
        """``forward`` and its vector-Jacobian product with dy, as (Gradients, State)."""
        y, pullback, after = self.jax.vjp(lambda *a: self.forward(*a, *others, **static), x, parameters, has_aux=True)
        dx, (dgamma, dbeta) = pullback(dy)
        return Gradients(y, dx, dgamma, dbeta), after

    def some_gradients(
        self, x: Any, dy: Any, parameters: Tuple[Any, Any], *others: Any, wanted: Tuple[str, ...], **static: Any
    ) -> Any:
        """The same with respect to the wanted arguments only; the others are constants of the differentiation."""
        given = dict(zip(GRADIENTS, (x, *parameters)))

        def of(asked: Dict[str, Any]) -> Any:
            x, *parameters = (asked.get(name, given[name]) for name in GRADIENTS)
            return self.forward(x, tuple(parameters), *others, **static)

        asked = {name: array for name, array in given.items() if name in wanted}
        y, pullback, after = self.jax.vjp(of, asked, has_aux=True)
        (found,) = pullback(dy)
        return Gradients(y, *(found.get(name) for name in GRADIENTS)), after

    def second_order(self, x: Any, dy: Any, v: Any, parameters: Tuple[Any, Any], *others: Any, **static: Any) -> Any:
        """The vector-Jacobian product with v of dx, as (SecondOrder, State)."""

        def dx(x: Any, dy: Any, gamma: Any) -> Any:
            by_x = lambda x: self.forward(x, (gamma, parameters[1]), *others, **static)
            _, pullback, after = self.jax.vjp(by_x, x, has_aux=True)
            return pullback(dy)[0], after

        _, pullback, after = self.jax.vjp(dx, x, dy, parameters[0], has_aux=True)
        return SecondOrder(*pullback(v)), after

    def tangent(self, x: Any, v: Any, *others: Any, **static: Any) -> Any:
        """``forward`` and its Jacobian-vector product with v in x, as (Tangent, State)."""
        y, along, after = self.jax.jvp(lambda x: self.forward(x, *others, **static), (x,), (v,), has_aux=True)
        return Tangent(y, along), after

    def merge(self, a: State, b: State, weight: float) -> State:
        """The moments of the union of two sets, of whose values b has the fraction ``weight``."""
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


class JaxNumpyLayer(JaxLayer):
    """One batch-normalization layer: what is kept between the calls of pure functions."""

    def __init__(self, jitted: Jitted, config: LayerConfig, parameters: Tuple[Any, Any], running: State) -> None:
        self.jitted, self.config, self.parameters, self.running = jitted, config, parameters, running

    def call(self, function: str, *inputs: Any, **static: Any) -> Any:
        """What one of the pure functions gives; a training step's running statistics replace the old."""
        arguments = (*inputs, self.parameters, self.running, self.config.epsilon, self.config.decay)
        result, self.running = self.jitted[function](*arguments, axis=self.config.channel_axis, **static)
        return result

    def forward(self, x: Any, mode: str) -> Any:
        """y."""
        return self.call("forward", x, mode=mode)

    def gradients(self, x: Any, dy: Any, mode: str) -> Gradients:
        """y and the gradients."""
        return self.call("gradients", x, dy, mode=mode)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: str) -> Gradients:
        """y and the wanted gradients."""
        return self.call("some_gradients", x, dy, wanted=wanted, mode=mode)

    def second_order(self, x: Any, dy: Any, v: Any, mode: str) -> SecondOrder:
        """The gradients of <v, dx>."""
        return self.call("second_order", x, dy, v, mode=mode)

    def tangent(self, x: Any, v: Any, mode: str) -> Tangent:
        """y and its derivative along v."""
        return self.call("tangent", x, v, mode=mode)

    def state(self) -> State:
        """The running statistics."""
        return self.running

    def copied(self) -> JaxNumpyLayer:
        """Another holder of the same arrays, which never change."""
        return copy.copy(self)

    def set_decay(self, decay: float) -> None:
        """Pass another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)


class JaxScaler(Scaler):
    """Input normalization; a constant feature is divided by 1."""

    def __init__(self, jitted: Jitted, axis: int) -> None:
        self.jitted, self.axis = jitted, axis

    def fit(self, chunks: Sequence[Any]) -> None:
        """Merge the moments of the chunks that hold values."""
        learnt, seen = None, 0
        for chunk in chunks:
            if chunk.size:
                seen += chunk.size
                moments = self.jitted["moments"](chunk, axis=self.axis)
                learnt = moments if learnt is None else self.jitted["merge"](learnt, moments, chunk.size / seen)
        if learnt is None:
            raise Declined("a training set without values has no statistics")
        self.learnt, self.count = learnt, seen // learnt.running_mean.size

    def transform(self, x: Any) -> Any:
        """(x - mean) / std."""
        return self.jitted["rescale"](x, self.learnt, self.count, axis=self.axis, mode="transform")

    def inverse(self, y: Any) -> Any:
        """y * std + mean."""
        return self.jitted["rescale"](y, self.learnt, self.count, axis=self.axis, mode="inverse")

    def statistics(self) -> State:
        """The fitted mean and variance."""
        return self.learnt
