"""``torch.vmap``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d in an ensemble, by functional_call under vmap.

Two members of other weights share the batch; the layer is the first. Gradients and tangents are torch.func.vjp's and jvp's,
inside vmap: the recipe of PyTorch's tutorial.

Source: https://docs.pytorch.org/tutorials/intermediate/ensembling.html
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from bnspec.backends.torch.common import TorchAdapter
from bnspec.backends.torch.modules import CONVENTIONS, StatefulModule, module_over, new_module
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, Tangent
from bnspec.model.call import Mode

Values = Dict[str, Any]


class TorchVmap(TorchAdapter):
    """Ensembles of modules."""

    conventions = CONVENTIONS

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> EnsembleLayer:
        """The module of x's rank, as the first member."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return EnsembleLayer(self.torch, module)

    def new_layer(self, config: LayerConfig) -> EnsembleLayer:
        """The module of x's rank as constructed, as the first member."""
        return EnsembleLayer(self.torch, new_module(self.torch, config, self.place))


class EnsembleLayer(StatefulModule):
    """One module, and its other in the ensemble: negated weights, the same statistics."""

    def over(self, module: Any) -> EnsembleLayer:
        """The same kind of layer around another module."""
        return EnsembleLayer(self.torch, module)

    def members(self) -> Any:
        """Weights and buffers of both members, stacked."""
        stack = self.torch.stack
        weights = {n: stack([p.detach(), -p.detach()]) for n, p in self.module.named_parameters()}
        return weights, {n: stack([b, b]) for n, b in self.module.named_buffers()}

    def over_members(self, function: Any, mode: Mode) -> Any:
        """The first member's result of ``function(call, weights)``; its buffers move if the mode is training.

        ``call`` gives y and the buffers after it; ``function`` gives its result and those buffers.
        """
        func, module = self.torch.func, self.module.train(mode == "training")
        weights, buffers = self.members()

        def member(weights: Values, buffers: Values) -> Any:
            def call(weights: Values, x: Any) -> Any:
                after = {name: buffer.clone() for name, buffer in buffers.items()}
                return func.functional_call(module, (weights, after), (x,)), after

            return function(call, weights)

        result, after = self.torch.vmap(member)(weights, buffers)
        if mode == "training":
            with self.torch.no_grad():
                for name, buffer in self.module.named_buffers():
                    buffer.copy_(after[name][0])
        return result

    def forward(self, x: Any, mode: Mode) -> Any:
        """The first member's y."""
        return self.over_members(lambda call, weights: call(weights, x), mode)[0]

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """torch.func.vjp by the weights and x, inside vmap."""

        def both(call: Any, weights: Values) -> Any:
            y, pull, after = self.torch.func.vjp(call, weights, x, has_aux=True)
            return (y, *pull(dy)), after

        y, by_weights, dx = self.over_members(both, mode)
        found = [by_weights[n][0] if n in by_weights else None for n in ("weight", "bias")]
        return Gradients(y[0], dx[0], *found)

    def tangent(self, x: Any, v: Any, mode: Mode) -> Tangent:
        """torch.func.jvp along v, inside vmap."""

        def both(call: Any, weights: Values) -> Any:
            y, along, after = self.torch.func.jvp(lambda x: call(weights, x), (x,), (v,), has_aux=True)
            return (y, along), after

        y, along = self.over_members(both, mode)
        return Tangent(y[0], along[0])

    def training_state_gradients(self, x: Any, dy: Any) -> Gradients:
        """Raises Declined."""
        raise Declined("the buffers are part of the inner call here")

    def training_third_order(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("third derivatives are those of torch.nn")

    def training_tangent_gradient(self, x: Any, dy: Any, v: Any) -> Any:
        """Raises Declined."""
        raise Declined("gradients of the forward mode are those of torch.nn")

    def some_gradients(self, x: Any, dy: Any, wanted: Any, mode: Mode) -> Gradients:
        """Raises Declined."""
        raise Declined("vjp is asked for all gradients here")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined("second derivatives are those of torch.nn")
