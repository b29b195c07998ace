"""``paddle.nn``: the modules BatchNorm1D, BatchNorm2D and BatchNorm3D in train() and eval().

    paddle.batch       the same with use_global_stats=False, the statistics of mini-batches
    paddle.recompute   the same under paddle.distributed.fleet.utils.recompute, which runs them again in the backward pass

Source: https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/BatchNorm2D_en.html and
https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/distributed/fleet/utils/recompute_en.html
"""

from __future__ import annotations

import copy
from typing import Any, List, Optional, Tuple

from bnspec.backends.paddle.common import PaddleAdapter, PaddleLayer, new_module, put
from bnspec.backends.worker.mode_layer import GRADIENTS
from bnspec.contract import Declined, Gradients, LayerConfig, SecondOrder, State
from bnspec.model.call import Mode


class PaddleNN(PaddleAdapter):
    """Modules whose weights and statistics are set to the case's."""

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module of x's rank with these values."""
        new = self.new_layer(config)
        put(new.module, gamma, beta, running_mean, running_var)
        return new

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module of x's rank, as constructed with x's dtype as the default."""
        return ModuleLayer(self.paddle, new_module(self.paddle, config))


class ModuleLayer(PaddleLayer):
    """One module, which holds its own state."""

    def __init__(self, paddle: Any, module: Any) -> None:
        super().__init__(paddle)
        self.module = module

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call in train() or eval(); to record gradients, inference is train() with use_global_stats."""
        frozen = mode == "inference" and self.paddle.is_grad_enabled()
        self.module._use_global_stats = frozen or None
        self.module.train() if mode == "training" or frozen else self.module.eval()
        return self.module(x)

    def parameters(self) -> List[Any]:
        """weight and bias."""
        return [p for p in (self.module.weight, self.module.bias) if p is not None]

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module._mean, self.module._variance)

    def copied(self) -> ModuleLayer:
        """A deep copy of the module."""
        return ModuleLayer(self.paddle, copy.deepcopy(self.module))

    def set_decay(self, decay: float) -> None:
        """Set the module's momentum."""
        self.module._momentum = decay


class PaddleBatch(PaddleNN):
    """Modules with use_global_stats=False."""

    def new_layer(self, config: LayerConfig) -> BatchLayer:
        """The module of x's rank, as constructed with x's dtype as the default."""
        return BatchLayer(self.paddle, super().new_layer(config).module)


class BatchLayer(ModuleLayer):
    """One module."""

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call in train() or eval()."""
        self.module._use_global_stats = False
        self.module.train() if mode == "training" else self.module.eval()
        return self.module(x)

    def copied(self) -> BatchLayer:
        """A deep copy of the module."""
        return BatchLayer(self.paddle, copy.deepcopy(self.module))


class PaddleRecompute(PaddleNN):
    """Modules whose activations are recomputed."""

    def new_layer(self, config: LayerConfig) -> RecomputedLayer:
        """The module of x's rank, as constructed with x's dtype as the default."""
        return RecomputedLayer(self.paddle, super().new_layer(config).module)


class RecomputedLayer(ModuleLayer):
    """One module."""

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call, of which nothing is kept for the backward pass where gradients are recorded."""
        if not self.paddle.is_grad_enabled():
            return super().forward(x, mode)
        from paddle.distributed.fleet.utils import recompute

        return recompute(super().forward, x, mode)

    def some_gradients(self, x: Any, dy: Any, wanted: Tuple[str, ...], mode: Mode) -> Gradients:
        """Raises Declined."""
        raise Declined("recompute takes no paddle.grad, which alone asks for some gradients")

    def gradients(self, x: Any, dy: Any, mode: Mode) -> Gradients:
        """``backward``: what is recomputed has no graph that paddle.grad could ask."""
        leaves = [self.leaf(x), *self.parameters()]
        y = self.forward(leaves[0], mode)
        self.paddle.autograd.backward([y], [dy])
        found = [leaf.grad.clone() for leaf in leaves]
        for leaf in leaves:
            leaf.clear_gradient()
        return Gradients(y.detach(), *(*found, None, None)[: len(GRADIENTS)])

    def late_gradients(self, x: Any, dy: Any, other: Any, mode: Mode) -> Gradients:
        """Raises Declined."""
        raise Declined("derivatives of a recomputed backward pass are those of paddle.nn")

    def second_order(self, x: Any, dy: Any, v: Any, mode: Mode) -> SecondOrder:
        """Raises Declined."""
        raise Declined("derivatives of a recomputed backward pass are those of paddle.nn")

    def copied(self) -> RecomputedLayer:
        """A deep copy of the module."""
        return RecomputedLayer(self.paddle, copy.deepcopy(self.module))
