"""``jax.nn*``: batch and input normalization by jax.nn.standardize, jitted, with JAX's own differentiation.

    jax.nn          the function's own statistics, by its default algorithm "fast"
    jax.nn.stable   the same by algorithm "stable"
    jax.nn.scaled   a given mean of 0 and the function's own variance, which scales; then the mean is subtracted

The function normalises; the user writes the rest: gamma and beta, the moving average, and for input normalization the moments
of the training set. In training the function computes its own statistics; in inference and in input normalization the caller passes
them. Everything is computed in x's dtype, except the means, which jax.numpy
accumulates in float32 for a half-precision x and rounds to x's dtype.

Source: https://docs.jax.dev/en/latest/_autosummary/jax.nn.standardize.html
"""

from __future__ import annotations

import inspect
from typing import Any, Dict, Optional, Sequence, Tuple

from bnspec.backends.jax.common import JaxAdapter
from bnspec.backends.jax.pure_layer import Functions, Jitted, Parameters, WrittenLayer
from bnspec.contract import Conventions, Declined, LayerConfig, Scaler, State
from bnspec.model.call import Mode


class JaxNN(JaxAdapter):
    """``jax.nn.standardize`` with the code that a user writes around it."""

    conventions = Conventions(
        checks_arguments=False,  # functions of arrays: JAX broadcasts whatever broadcasts
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
        integers=True,
        input_normalization=True,
        input_epsilon=1e-5,
    )

    #: What the function is given in training beside x, its axes, epsilon and the mask.
    options: Dict[str, Any] = {}

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        unknown = set(self.options) - set(inspect.signature(self.jax.nn.standardize).parameters)
        if unknown:
            raise ImportError("this release's jax.nn.standardize takes no %s" % ", ".join(sorted(unknown)))
        functions = StandardizeFunctions(self.jax, self.options)
        self.jitted = functions.jitted("axis")
        for function in (functions.moments, functions.by):
            self.jitted[function.__name__] = self.jax.jit(function, static_argnames="axis")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> WrittenLayer:
        """A layer that holds these arrays; a training step replaces the statistics."""
        return WrittenLayer(self.jitted, config, (gamma, beta), State(running_mean, running_var))

    def scaler(self, config: LayerConfig) -> StandardizeScaler:
        """Standardization by the moments of the whole training set."""
        return StandardizeScaler(self.jax.numpy, self.jitted, config.channel_axis)


class JaxNNStable(JaxNN):
    """``jax.nn.standardize`` by its algorithm "stable"."""

    options = {"algorithm": "stable"}

    def scaler(self, config: LayerConfig) -> StandardizeScaler:
        """Raises Declined: ``jax.nn`` has it."""
        raise Declined("input normalization is that of jax.nn")


class JaxNNScaled(JaxNN):
    """``jax.nn.standardize`` with the mean 0, which divides x by its standard deviation alone; what comes out is then centred."""

    options = {"mean": 0.0}

    def scaler(self, config: LayerConfig) -> StandardizeScaler:
        """Raises Declined: ``jax.nn`` has it."""
        raise Declined("input normalization is that of jax.nn")


class StandardizeFunctions(Functions):
    """The layer and its parts; ``axis`` is x's channel axis."""

    def __init__(self, jax: Any, options: Dict[str, Any]) -> None:
        super().__init__(jax)
        self.options = options

    def moments(self, x: Any, axis: int, mask: Any = None) -> State:
        """The batch's mean and variance, as a user computes them with jax.numpy."""
        axes = tuple(a for a in range(x.ndim) if a != axis)
        return State(self.jnp.mean(x, axes, where=mask), self.jnp.var(x, axes, where=mask))

    def spread(self, x: Any, c: Any, axis: int) -> Any:
        """A (C,) array shaped to broadcast against x."""
        return c.reshape([-1 if a == axis else 1 for a in range(x.ndim)])

    def by(self, x: Any, given: State, epsilon: float, axis: int) -> Any:
        """x standardized by given statistics."""
        mean, var = (self.spread(x, c, axis) for c in given)
        return self.jax.nn.standardize(x, mean=mean, variance=var, epsilon=epsilon)

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
        """y = gamma * standardize(x) + beta, and the running statistics after it."""
        after = running
        if mode == "inference":
            y = self.by(x, running, epsilon, axis)
        else:
            axes = tuple(a for a in range(x.ndim) if a != axis)
            y = self.jax.nn.standardize(x, axis=axes, epsilon=epsilon, where=mask, **self.options)
            if "mean" in self.options:
                y = y - self.jnp.mean(y, axes, keepdims=True, where=mask)
            if x.size:  # the moments of an empty batch are NaN
                batch = self.moments(x, axis, mask)
                after = State(*(decay * old + (1.0 - decay) * new for old, new in zip(running, batch)))
            if mask is not None:  # nor are those of a mask that keeps nothing taken
                after = State(*(self.jnp.where(mask.any(), new, old) for old, new in zip(running, after)))
        if parameters[0] is not None:
            gamma, beta = (self.spread(x, p, axis) for p in parameters)
            y = gamma * y + beta
        return y, after


class StandardizeScaler(Scaler):
    """Input normalization with standardize's default epsilon; there is no inverse."""

    def __init__(self, jnp: Any, jitted: Jitted, axis: int) -> None:
        self.jnp, self.jitted, self.axis = jnp, jitted, axis

    def fit(self, chunks: Sequence[Any]) -> None:
        """Compute the moments of all chunks together. Raises ValueError: they have no values."""
        rows = [self.jnp.moveaxis(c, self.axis, -1).reshape(-1, c.shape[self.axis]) for c in chunks]
        data = self.jnp.concatenate(rows)
        if not data.size:
            raise ValueError("the training set has no values")
        self.learnt = self.jitted["moments"](data, axis=1)

    def transform(self, x: Any) -> Any:
        """(x - mean) / sqrt(var + 1e-5)."""
        return self.jitted["by"](x, self.learnt, JaxNN.conventions.input_epsilon, axis=self.axis)

    def inverse(self, y: Any) -> Any:
        """Raises Declined: jax.nn has no inverse of standardize."""
        raise Declined("jax.nn has no inverse of standardize")

    def statistics(self) -> State:
        """The mean and variance of the training set."""
        return self.learnt
