"""``torch.nn``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
"""

from __future__ import annotations

import copy
import io
from typing import Any, List, Mapping, Optional

from bnspec.backends.torch_common import TorchAdapter, TorchLayer
from bnspec.backends.torch_modules import module_over, new_module
from bnspec.backends.torch_network import TorchNetwork
from bnspec.case import PARAMETERS
from bnspec.contract import LayerConfig, Profile, State


class TorchNN(TorchAdapter):
    """Modules in train() and eval(), over the case's own tensors."""

    profile = Profile(
        checks_arguments=True,
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
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return ModuleLayer(self.torch, module)

    def new_layer(self, config: LayerConfig) -> ModuleLayer:
        """The module of x's rank, as constructed."""
        module = new_module(self.torch, config, self.place)
        return ModuleLayer(self.torch, module)

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
        """weight and bias, unless they are frozen."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module.running_mean, self.module.running_var)

    def restored(self) -> ModuleLayer:
        """A new module of the same arguments, which loads the state_dict that ``torch.save`` wrote."""
        file, old = io.BytesIO(), self.module
        self.torch.save(old.state_dict(), file)
        file.seek(0)
        place, dtype = old.running_mean.device, old.running_mean.dtype
        new = type(old)(
            old.num_features, eps=old.eps, momentum=old.momentum, affine=old.affine, device=place, dtype=dtype
        )
        new.load_state_dict(self.torch.load(file, weights_only=True))
        return ModuleLayer(self.torch, new)

    def copied(self) -> ModuleLayer:
        """A deep copy of the module."""
        return ModuleLayer(self.torch, copy.deepcopy(self.module))

    def reset(self) -> None:
        """The module's own reset."""
        self.module.reset_running_stats()

    def freeze(self, frozen: bool) -> None:
        """weight and bias require no gradient; the module goes on as before in train() and eval()."""
        self.module.requires_grad_(not frozen)

    def set_decay(self, decay: float) -> None:
        """Set the module's momentum."""
        self.module.momentum = 1.0 - decay
