"""``torch.nn``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from bnspec.backends.torch_common import TorchAdapter, TorchLayer
from bnspec.backends.torch_network import TorchNetwork
from bnspec.case import PARAMETERS
from bnspec.contract import LayerConfig, Profile, State

MODULES = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}


class TorchNN(TorchAdapter):
    """Modules in train() and eval(), over the case's own tensors."""

    profile = Profile(
        running_correction=1,
        momentum_weighs="new",
        default_epsilon=1e-5,
        default_decay=0.9,
        frozen_gradients="batch",
        count_one="raises",
        empty_batch="keeps_state",
        dtypes=("float64", "float32", "bfloat16", "float16"),
        half_parameters=("float32", "input"),
        ranks=(2, 3, 4, 5),
        channel_axes="first",
    )

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ModuleLayer:
        """The module of x's rank; weight, bias and buffers are these tensors."""
        torch, module_class = self.torch, getattr(self.torch.nn, MODULES[config.rank])
        module = module_class(
            config.channels,
            eps=config.epsilon,
            momentum=1.0 - config.decay,
            affine=config.affine,
            device=self.place,
            dtype=getattr(torch, config.parameter_dtype),
        )
        if config.affine:
            module.weight, module.bias = torch.nn.Parameter(gamma), torch.nn.Parameter(beta)
        module.running_mean, module.running_var = running_mean, running_var
        return ModuleLayer(torch, module)

    def network(self, kind: str, config: LayerConfig, learning_rate: float, values: Mapping[str, Any]) -> TorchNetwork:
        """Modules around this adapter's module."""
        layer = self.layer(config, *(values[n] for n in PARAMETERS))
        return TorchNetwork(self.torch, kind, layer.module, learning_rate, values)


class ModuleLayer(TorchLayer):
    """One ``torch.nn.BatchNorm*d``."""

    def __init__(self, torch: Any, module: Any) -> None:
        super().__init__(torch)
        self.module = module

    def forward(self, x: Any, mode: str) -> Any:
        """The module's call in train() or eval()."""
        self.module.train(mode == "training")
        return self.module(x)

    def parameters(self) -> List[Any]:
        """weight and bias."""
        return list(self.module.parameters())

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module.running_mean, self.module.running_var)
