"""Layers as pure functions in JAX: the derivatives of one function, and the arrays kept between calls.

A JAX user writes the forward pass; JAX derives everything else. This file does so for every adapter whose layer is a function
of its parameters and state.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
from typing import Any, Callable, Dict, Tuple

from bnspec.backends.jax.common import JaxLayer
from bnspec.backends.worker.mode_layer import GRADIENTS
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import Mode

Jitted = Dict[str, Callable[..., Any]]
#: gamma and beta, or None and None.
Parameters = Tuple[Any, Any]
JITTED = (
    "forward",
    "gradients",
    "some_gradients",
    "state_gradients",
    "second_order",
    "third_order",
    "tangent",
    "tangent_gradient",
)


class Functions(abc.ABC):
    """A pure forward pass, defined by a subclass, and its derivatives. Statistics and parameters have shape (C,).

    ``settings`` are the arguments of ``forward`` after ``running``, by name; each function returns its result and the running
    statistics after it.
    """

    def __init__(self, jax: Any) -> None:
        self.jax, self.jnp = jax, jax.numpy

    @abc.abstractmethod
    def forward(self, *arguments: Any, **settings: Any) -> Any:
        """y, and the running statistics after it as a State.

        Args: x, parameters and running; by name mode, "training" or "inference", in training mask (False on padding, or None),
            and the subclass's own.
        """

    def jitted(self, *constants: str) -> Jitted:
        """Every function by name, compiled for each value of the mode and of the settings named here."""
        static = {n: (*constants, "mode", "wanted") if n == "some_gradients" else (*constants, "mode") for n in JITTED}
        return {n: self.jax.jit(getattr(self, n), static_argnames=names) for n, names in static.items()}

    def gradients(self, x: Any, dy: Any, parameters: Parameters, running: State, **settings: Any) -> Any:
        """``forward`` and its vector-Jacobian product with dy: (Gradients, State)."""

        def of(x: Any, parameters: Parameters) -> Any:
            return self.forward(x, parameters, running, **settings)

        y, pullback, after = self.jax.vjp(of, x, parameters, has_aux=True)
        dx, (dgamma, dbeta) = pullback(dy.astype(y.dtype))
        return Gradients(y, dx, dgamma, dbeta), after

    def some_gradients(
        self, x: Any, dy: Any, parameters: Parameters, running: State, *, wanted: Tuple[str, ...], **settings: Any
    ) -> Any:
        """The same with respect to the wanted arguments only; the others are constants of the differentiation."""
        given = dict(zip(GRADIENTS, (x, *parameters)))

        def of(asked: Dict[str, Any]) -> Any:
            x, *parameters = (asked.get(name, given[name]) for name in GRADIENTS)
            return self.forward(x, tuple(parameters), running, **settings)

        asked = {name: array for name, array in given.items() if name in wanted}
        y, pullback, after = self.jax.vjp(of, asked, has_aux=True)
        (found,) = pullback(dy.astype(y.dtype))
        return Gradients(y, *(found.get(name) for name in GRADIENTS)), after

    def state_gradients(self, x: Any, dy: Any, parameters: Parameters, running: State, **settings: Any) -> Any:
        """The gradients of <dy, y> plus the sum of the statistics after it: (Gradients, State)."""

        def of(x: Any, parameters: Parameters) -> Any:
            y, after = self.forward(x, parameters, running, **settings)
            leaves = self.jax.tree_util.tree_leaves(after)
            total = sum(s.astype(y.dtype).sum() for s in leaves if self.jnp.issubdtype(s.dtype, self.jnp.floating))
            return (y, total), after

        (y, total), pullback, after = self.jax.vjp(of, x, parameters, has_aux=True)
        dx, (dgamma, dbeta) = pullback((dy.astype(y.dtype), self.jnp.ones_like(total)))
        return Gradients(y, dx, dgamma, dbeta), after

    def second_order(self, x: Any, dy: Any, v: Any, parameters: Parameters, running: State, **settings: Any) -> Any:
        """The vector-Jacobian product with v of dx: (SecondOrder, State)."""

        def dx(x: Any, dy: Any, gamma: Any) -> Any:
            by_x = lambda x: self.forward(x, (gamma, parameters[1]), running, **settings)
            y, pullback, after = self.jax.vjp(by_x, x, has_aux=True)
            return pullback(dy.astype(y.dtype))[0], after

        _, pullback, after = self.jax.vjp(dx, x, dy, parameters[0], has_aux=True)
        return SecondOrder(*pullback(v)), after

    def third_order(self, x: Any, dy: Any, v: Any, parameters: Parameters, running: State, **settings: Any) -> Any:
        """The gradient of <v, the gradient of <v, dx>>: (array, State)."""

        def weighted(x: Any) -> Any:
            y, after = self.forward(x, parameters, running, **settings)
            return self.jnp.sum(y * dy.astype(y.dtype)), after

        def along(of: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def product(x: Any) -> Any:
                gradient, after = self.jax.grad(of, has_aux=True)(x)
                return self.jnp.sum(v * gradient), after

            return product

        return self.jax.grad(along(along(weighted)), has_aux=True)(x)

    def tangent(self, x: Any, v: Any, parameters: Parameters, running: State, **settings: Any) -> Any:
        """``forward`` and its Jacobian-vector product with v in x: (Tangent, State)."""
        of = lambda x: self.forward(x, parameters, running, **settings)
        y, along, after = self.jax.jvp(of, (x,), (v,), has_aux=True)
        return Tangent(y, along), after

    def tangent_gradient(self, x: Any, dy: Any, v: Any, parameters: Parameters, running: State, **settings: Any) -> Any:
        """The gradient of <dy, the Jacobian-vector product with v>: (array, State)."""

        def weighted(x: Any) -> Any:
            (_, along), after = self.tangent(x, v, parameters, running, **settings)
            return self.jnp.sum(along * dy.astype(along.dtype)), after

        return self.jax.grad(weighted, has_aux=True)(x)


class PureLayer(JaxLayer):
    """The parameters and statistics of a functional layer. Subclasses define ``settings``."""

    def __init__(self, jitted: Jitted, parameters: Parameters, running: State) -> None:
        self.jitted, self.parameters, self.running = jitted, parameters, running

    @abc.abstractmethod
    def settings(self) -> Dict[str, Any]:
        """The layer's own arguments of the functions, by name."""

    def call(self, function: str, *inputs: Any, **settings: Any) -> Any:
        """The result of one of the functions; a training step replaces the running statistics."""
        arguments = (*inputs, self.parameters, self.running)
        result, self.running = self.jitted[function](*arguments, **self.settings(), **settings)
        return result

    def forward(self, x: Any, mode: Mode) -> Any:
        """y."""
        return self.call("forward", x, mode=mode)

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """y and the gradients."""
        return self.call("gradients", x, dy, mode=mode)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """y and the wanted gradients."""
        return self.call("some_gradients", x, dy, wanted=wanted, mode=mode)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """y and the gradients of a loss that reads the new statistics."""
        return self.call("state_gradients", x, dy, mode="training")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """The gradients of <v, dx>."""
        return self.call("second_order", x, dy, v, mode=mode)

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """The gradient of <v, the gradient of <v, dx>>."""
        return self.call("third_order", x, dy, v, mode="training")

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """The gradient of <dy, the Jacobian-vector product with v>."""
        return self.call("tangent_gradient", x, dy, v, mode="training")

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """y and its derivative along v."""
        return self.call("tangent", x, v, mode=mode)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """y of a batch with padding."""
        return self.call("forward", x, mode="training", mask=mask)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """y and the gradients of a batch with padding."""
        return self.call("gradients", x, dy, mode="training", mask=mask)

    def state(self) -> State:
        """The running statistics."""
        return self.running

    def copied(self) -> PureLayer:
        """A new layer over the same immutable arrays."""
        return copy.copy(self)

    def freeze(self, frozen: bool) -> None:
        """Raises Declined."""
        raise Declined("arrays have no such mark: what is trained is what the user differentiates by and updates")


class WrittenLayer(PureLayer):
    """A layer written in JAX: epsilon, decay and the channel axis are arguments of its functions."""

    def __init__(self, jitted: Jitted, config: LayerConfig, parameters: Parameters, running: State) -> None:
        super().__init__(jitted, parameters, running)
        self.config = config

    def settings(self) -> Dict[str, Any]:
        """epsilon, decay and axis."""
        return {"epsilon": self.config.epsilon, "decay": self.config.decay, "axis": self.config.channel_axis}

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("the moving average is the caller's own: what is differentiated is the caller's choice")

    def restored(self) -> PureLayer:
        """Raises Declined."""
        raise Declined("JAX has no checkpoints of its own: arrays are saved by other packages")

    def reset(self) -> None:
        """Raises Declined."""
        raise Declined("a function keeps no statistics that it could reset")

    def set_decay(self, decay: float) -> None:
        """Pass another decay from the next call on."""
        self.config = dataclasses.replace(self.config, decay=decay)
