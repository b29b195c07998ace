"""``jax.nn``: batch and input normalization by jax.nn.standardize, jitted, with JAX's own differentiation.

The function normalises; all else is the user's: gamma and beta, the moving average, and for input normalization the moments
of the training set. In training it is given no statistics and finds its own, by its default algorithm "fast"; in inference,
and in input normalization, it is given them. Everything is computed in x's dtype, save the means, which jax.numpy
accumulates in float32 for a half-precision x and rounds to x's dtype.

Source: https://docs.jax.dev/en/latest/_autosummary/jax.nn.standardize.html
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from bnspec.backends.jax_common import JaxAdapter, JaxLayer
from bnspec.contract import Declined, Gradients, LayerConfig, Profile, Scaler, State

Jitted = Dict[str, Callable[..., Any]]


class JaxNN(JaxAdapter):
    """``jax.nn.standardize`` with the lines that a user writes around it."""

    profile = Profile(
        checks_arguments=True,
        running_correction=0,
        momentum_weighs="none",
        default_epsilon=1e-5,
        count_one="biased",
        empty_batch="keeps_state",
        half_statistics="input",
        half_arithmetic="input",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("input",),
        ranks=(2, 3, 4, 5, 6),
        layouts="normalised",
        mutable_tensors=False,
        input_normalization=True,
        input_epsilon=1e-5,
    )

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        functions = Functions(self.jax)
        static = {"forward": ("axis", "mode"), "gradients": ("axis", "mode"), "moments": ("axis",), "by": ("axis",)}
        self.jitted = {n: self.jax.jit(getattr(functions, n), static_argnames=s) for n, s in static.items()}

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> StandardizeLayer:
        """A layer that holds these arrays; a training step puts new ones in the place of the statistics."""
        return StandardizeLayer(self.jitted, config, (gamma, beta), State(running_mean, running_var))

    def scaler(self, config: LayerConfig) -> StandardizeScaler:
        """Standardization by the moments of the whole training set."""
        return StandardizeScaler(self.jax.numpy, self.jitted, config.channel_axis)


class Functions:
    """Pure functions of JAX arrays; ``axis`` is x's channel axis, statistics and parameters have shape (C,)."""

    def __init__(self, jax: Any) -> None:
        self.jax, self.jnp = jax, jax.numpy

    def moments(self, x: Any, axis: int) -> State:
        """The batch's mean and variance, as a user asks jax.numpy for them."""
        axes = tuple(a for a in range(x.ndim) if a != axis)
        return State(self.jnp.mean(x, axes), self.jnp.var(x, axes))

    def spread(self, x: Any, c: Any, axis: int) -> Any:
        """A (C,) array shaped to broadcast against x."""
        return c.reshape([-1 if a == axis else 1 for a in range(x.ndim)])

    def by(self, x: Any, given: State, epsilon: float, axis: int) -> Any:
        """x standardized by given statistics."""
        mean, var = (self.spread(x, c, axis) for c in given)
        return self.jax.nn.standardize(x, mean=mean, variance=var, epsilon=epsilon)

    def forward(
        self, x: Any, parameters: Tuple[Any, Any], running: State, epsilon: float, decay: float, axis: int, mode: str
    ) -> Tuple[Any, State]:
        """y = gamma * standardize(x) + beta, and the running statistics after it."""
        if mode == "inference":
            y, after = self.by(x, running, epsilon, axis), running
        else:
            axes = tuple(a for a in range(x.ndim) if a != axis)
            y = self.jax.nn.standardize(x, axis=axes, epsilon=epsilon)
            after = running
            if x.size:  # the moments of nothing are NaN
                after = State(*(decay * old + (1.0 - decay) * new for old, new in zip(running, self.moments(x, axis))))
        if parameters[0] is not None:
            gamma, beta = (self.spread(x, p, axis) for p in parameters)
            y = gamma * y + beta
        return y, after

    def gradients(self, x: Any, dy: Any, parameters: Tuple[Any, Any], *others: Any, **static: Any) -> Any:
        """``forward`` and its vector-Jacobian product with dy, as (Gradients, State)."""
        y, pullback, after = self.jax.vjp(lambda *a: self.forward(*a, *others, **static), x, parameters, has_aux=True)
        dx, (dgamma, dbeta) = pullback(dy)
        return Gradients(y, dx, dgamma, dbeta), after


class StandardizeLayer(JaxLayer):
    """One batch-normalization layer: what is kept between the calls of pure functions."""

    def __init__(self, jitted: Jitted, config: LayerConfig, parameters: Tuple[Any, Any], running: State) -> None:
        self.jitted, self.config, self.parameters, self.running = jitted, config, parameters, running

    def forward(self, x: Any, mode: str) -> Any:
        """y; a training step's running statistics replace the old."""
        arguments = (x, self.parameters, self.running, self.config.epsilon, self.config.decay)
        y, self.running = self.jitted["forward"](*arguments, axis=self.config.channel_axis, mode=mode)
        return y

    def gradients(self, x: Any, dy: Any, mode: str) -> Gradients:
        """y and the gradients; a training step's running statistics replace the old."""
        arguments = (x, dy, self.parameters, self.running, self.config.epsilon, self.config.decay)
        gradients, self.running = self.jitted["gradients"](*arguments, axis=self.config.channel_axis, mode=mode)
        return gradients

    def state(self) -> State:
        """The running statistics."""
        return self.running


class StandardizeScaler(Scaler):
    """Input normalization with the epsilon that standardize has by default; the inverse is not offered."""

    def __init__(self, jnp: Any, jitted: Jitted, axis: int) -> None:
        self.jnp, self.jitted, self.axis = jnp, jitted, axis

    def fit(self, chunks: Sequence[Any]) -> None:
        """The moments of all chunks together. Raises ValueError where they have no values."""
        rows = [self.jnp.moveaxis(c, self.axis, -1).reshape(-1, c.shape[self.axis]) for c in chunks]
        data = self.jnp.concatenate(rows)
        if not data.size:
            raise ValueError("the training set has no values")
        self.learnt = self.jitted["moments"](data, axis=1)

    def transform(self, x: Any) -> Any:
        """(x - mean) / sqrt(var + 1e-5)."""
        return self.jitted["by"](x, self.learnt, JaxNN.profile.input_epsilon, axis=self.axis)

    def inverse(self, y: Any) -> Any:
        """Raises Declined: jax.nn has no inverse of standardize."""
        raise Declined("jax.nn has no inverse of standardize")

    def statistics(self) -> State:
        """The mean and variance of the training set."""
        return self.learnt
