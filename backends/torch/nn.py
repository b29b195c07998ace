"""``torch.nn`` and ``torch.channels_last``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d.

To PyTorch, an image with channels last is a view of shape (N, C, H, W) in channels-last memory, and the module is the same.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html and
https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Optional

from bnspec.backends.torch.common import TorchAdapter
from bnspec.backends.torch.layer_norm import TorchLayerNorm, module
from bnspec.backends.torch.modules import CONVENTIONS, StatefulModule, module_over, new_module
from bnspec.backends.torch.network import TorchNetwork
from bnspec.contract import Declined, LayerConfig
from bnspec.model.call import Mode
from bnspec.model.case import PARAMETERS
from bnspec.model.vocabulary import NetworkKind


class TorchNN(TorchAdapter):
    """Modules in train() and eval(), over the case's own tensors."""

    conventions = CONVENTIONS

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module of x's rank; weight, bias and buffers are these tensors."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return ModuleLayer(self.torch, module)

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module of x's rank, as constructed."""
        module = new_module(self.torch, config, self.place)
        return ModuleLayer(self.torch, module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """A network around this adapter's module."""
        if kind.endswith("_plain"):
            return TorchNetwork(self.torch, kind, None, learning_rate, values)
        layer = self.layer(config, *(values[n] for n in PARAMETERS))
        return TorchNetwork(self.torch, kind, layer.module, learning_rate, values)

    def layer_norm(self, config: LayerConfig, gamma: Any, beta: Any) -> TorchLayerNorm:
        """torch.nn.LayerNorm."""
        return module(self.torch, config, gamma, beta)


class ModuleLayer(StatefulModule):
    """One ``torch.nn.BatchNorm*d``, eager."""

    def over(self, module: Any) -> ModuleLayer:
        """The same kind of layer around another module."""
        return ModuleLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call in train() or eval()."""
        self.module.train(mode == "training")
        return self.module(x)


class TorchChannelsLast(TorchNN):
    """Modules called with x of shape (N, ..., C) as a view of shape (N, C, ...)."""

    conventions = dataclasses.replace(CONVENTIONS, ranks=(3, 4, 5), channel_axes="last")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ChannelsLastLayer:
        """The module of x's rank."""
        return ChannelsLastLayer(self.torch, super().layer(config, gamma, beta, running_mean, running_var).module)

    def new_layer(self, config: LayerConfig) -> ChannelsLastLayer:
        """The module of x's rank, as constructed."""
        return ChannelsLastLayer(self.torch, super().new_layer(config).module)

    def network(
        self, kind: NetworkKind, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]
    ) -> TorchNetwork:
        """Raises Declined: ``torch.nn`` has the networks."""
        raise Declined("the networks are those of torch.nn")


class ChannelsLastLayer(ModuleLayer):
    """One module."""

    def over(self, module: Any) -> ChannelsLastLayer:
        """The same kind of layer around another module."""
        return ChannelsLastLayer(self.torch, module)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The module's call of the view, and the view back."""
        return super().forward(x.movedim(-1, 1), mode).movedim(1, -1)
