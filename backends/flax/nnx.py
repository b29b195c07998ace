"""``flax.nnx``, ``flax.nnx.stable`` and ``flax.nnx.dtype``: the module flax.nnx.BatchNorm, called under nnx.jit as in a training loop.

nnx.jit compiles once per shape and dtype, and again for every other epsilon or momentum: both are constants there.

Source: https://flax.readthedocs.io/en/latest/api_reference/flax.nnx/nn/normalization.html
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from bnspec.backends.flax.common import FlaxAdapter, nnx_module, value_of
from bnspec.backends.flax.network import FlaxNetwork
from bnspec.backends.jax.common import JaxLayer
from bnspec.backends.jax.layer_norm import ModuleLayerNorm
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, State, Tangent
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind

MODES = {"training": "train", "inference": "eval"}
Calls = Dict[str, Callable[..., Any]]


class FlaxNNX(FlaxAdapter):
    """Modules in train() and eval(), with Flax's default computation of the variance: E[x^2] - E[x]^2."""

    fast_variance = True
    #: Whether the module's argument ``dtype`` is x's; by default y's dtype follows from those of x and the variables.
    own_dtype = False

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.nnx = importlib.import_module("flax.nnx")
        self.calls = jitted_calls(self.jax, self.nnx)

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module with its variables replaced by these arrays, as if from a checkpoint."""
        new = self.new_layer(config)
        if config.affine:
            new.module.scale, new.module.bias = self.nnx.Param(gamma), self.nnx.Param(beta)
        new.module.mean, new.module.var = self.nnx.BatchStat(running_mean), self.nnx.BatchStat(running_var)
        return new

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module as constructed."""
        dtype = config.dtype if self.own_dtype else None
        module = nnx_module(self.nnx, config, dtype=dtype, use_fast_variance=self.fast_variance)
        return ModuleLayer(self.nnx, self.calls, module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> FlaxNetwork:
        """A network around this adapter's module."""
        norm = None if kind.endswith("_plain") else self.layer(config, *(values[n] for n in PARAMETERS)).module
        return FlaxNetwork(self.nnx, kind, norm, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> ModuleLayerNorm:
        """``flax.nnx.LayerNorm``."""
        return ModuleLayerNorm(self.nnx, self.calls, config, gamma, beta)


class FlaxNNXStable(FlaxNNX):
    """The same with ``use_fast_variance=False``: the variance is E[(x - E[x])^2]."""

    fast_variance = False


class FlaxNNXDtype(FlaxNNXStable):
    """The same with ``dtype``, documented as the dtype of the result, set to x's, as for training in half precision."""

    own_dtype = True
    conventions = dataclasses.replace(FlaxAdapter.conventions, output_dtype="input")


class ModuleLayer(JaxLayer):
    """One ``flax.nnx.BatchNorm``, which holds its own state."""

    def __init__(self, nnx: Any, calls: Calls, module: Any) -> None:
        self.nnx, self.calls, self.module = nnx, calls, module

    def call(self, name: str, mode: Mode, *arguments: Any) -> Any:
        """Run one of the jitted calls with the module in train() or eval()."""
        getattr(self.module, MODES[mode])()
        return self.calls[name](self.module, *arguments)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call."""
        return self.call("output", mode, x)

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """The module's call and its gradients."""
        return self.call("gradients", mode, x, dy)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """The module's call and the gradients by a subset of its variables and x."""
        if not hasattr(self.nnx, "DiffState"):
            raise Declined("in this release nnx.grad takes one filter for all arguments")
        if self.module.scale is None:
            wanted = tuple(name for name in wanted if name == "dx")
        return self.call("some_gradients", mode, x, dy, wanted)

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """The module's call, and the gradients of a loss that reads its batch statistics."""
        return self.call("state_gradients", "training", x, dy)

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """nnx.grad of nnx.grad."""
        return self.call("second_order", mode, x, dy, v)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """jax.jvp of the module's call."""
        return self.call("tangent", mode, x, v)

    def training_masked(self, x: Any, mask: Any) -> Any:
        """The module's call in train() with a mask, which is broadcast against x."""
        return self.call("output", "training", x, mask)

    def training_masked_gradients(self, x: Any, dy: Any, mask: Any) -> Gradients:
        """The same with its gradients."""
        return self.call("gradients", "training", x, dy, mask)

    def state(self) -> State:
        """The module's batch statistics."""
        return State(value_of(self.module.mean), value_of(self.module.var))

    def restored(self) -> ModuleLayer:
        """The module's state as a pure dict, to Flax's bytes and back, merged with the module's graph."""
        from flax import serialization

        if not hasattr(self.nnx, "to_pure_dict"):
            raise Declined("this release makes no pure dict of a module's state")
        graph, state = self.nnx.split(self.module)
        data = serialization.to_bytes(self.nnx.to_pure_dict(state))
        self.nnx.replace_by_pure_dict(state, serialization.msgpack_restore(data))
        return ModuleLayer(self.nnx, self.calls, self.nnx.merge(graph, state))

    def copied(self) -> ModuleLayer:
        """nnx.clone."""
        return ModuleLayer(self.nnx, self.calls, self.nnx.clone(self.module))

    def freeze(self, frozen: bool) -> None:
        """Raises Declined."""
        raise Declined(
            "a Flax module has no such mark: what is trained is chosen by filters in nnx.grad and nnx.Optimizer"
        )

    def set_decay(self, decay: float) -> None:
        """Set the module's momentum."""
        self.module.momentum = decay


def jitted_calls(jax: Any, nnx: Any) -> Calls:
    """The module's call and derivatives by name; gradients are those of sum(y * dy), whose cotangent for y is dy."""
    jnp = jax.numpy

    def weighted(module: Any, x: Any, dy: Any, mask: Any = None) -> Tuple[Any, Any]:
        y = module(x, mask=mask)
        if dy.shape != y.shape:  # the product below would broadcast it: that is this adapter's doing, not the module's
            raise ValueError("dy has shape %s, y has shape %s" % (dy.shape, y.shape))
        return jnp.sum(y * dy), y

    @nnx.jit
    def output(module: Any, x: Any, mask: Any = None) -> Any:
        return module(x, mask=mask)

    @nnx.jit
    def gradients(module: Any, x: Any, dy: Any, mask: Any = None) -> Gradients:
        by = nnx.value_and_grad(weighted, argnums=(0, 1), has_aux=True)
        (_, y), (parameters, dx) = by(module, x, dy, mask)
        if module.scale is None:
            return Gradients(y, dx, None, None)
        return Gradients(y, dx, value_of(parameters["scale"]), value_of(parameters["bias"]))

    @nnx.jit
    def state_gradients(module: Any, x: Any, dy: Any) -> Gradients:
        def reading(module: Any, x: Any, dy: Any) -> Tuple[Any, Any]:
            product, y = weighted(module, x, dy)
            return product + sum(value_of(s).astype(y.dtype).sum() for s in (module.mean, module.var)), y

        (_, y), (parameters, dx) = nnx.value_and_grad(reading, argnums=(0, 1), has_aux=True)(module, x, dy)
        if module.scale is None:
            return Gradients(y, dx, None, None)
        return Gradients(y, dx, value_of(parameters["scale"]), value_of(parameters["bias"]))

    @functools.partial(nnx.jit, static_argnums=3)
    def some_gradients(module: Any, x: Any, dy: Any, wanted: Tuple[str, ...]) -> Gradients:
        names = [path for name, path in (("dgamma", "scale"), ("dbeta", "bias")) if name in wanted]
        by: Tuple[Any, ...] = (nnx.DiffState(0, nnx.Any(*map(nnx.PathContains, names))),) if names else ()
        by += (1,) if "dx" in wanted else ()
        if not by:
            return Gradients(module(x), None, None, None)
        (_, y), found = nnx.value_and_grad(weighted, argnums=by, has_aux=True)(module, x, dy)
        parameters = found[0] if names else {}
        dgamma, dbeta = (value_of(parameters[n]) if n in names else None for n in ("scale", "bias"))
        return Gradients(y, found[-1] if "dx" in wanted else None, dgamma, dbeta)

    @nnx.jit
    def second_order(module: Any, x: Any, dy: Any, v: Any) -> SecondOrder:
        def product(module: Any, x: Any, dy: Any) -> Any:
            dx, _ = nnx.grad(weighted, argnums=1, has_aux=True)(module, x, dy)
            return jnp.sum(v * dx)

        parameters, by_x, by_dy = nnx.grad(product, argnums=(0, 1, 2))(module, x, dy)
        return SecondOrder(by_x, by_dy, None if module.scale is None else value_of(parameters["scale"]))

    @nnx.jit
    def tangent(module: Any, x: Any, v: Any) -> Tangent:
        def of(x: Any) -> Tuple[Any, Any]:
            traced = nnx.clone(module)  # nnx only allows changing a module at the trace level that created it
            return traced(x), nnx.state(traced, nnx.BatchStat)

        y, along, statistics = jax.jvp(of, (x,), (v,), has_aux=True)
        nnx.update(module, statistics)
        return Tangent(y, along)

    return {f.__name__: f for f in (output, gradients, state_gradients, some_gradients, second_order, tangent)}
