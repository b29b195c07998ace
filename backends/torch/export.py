"""``torch.export``: the modules BatchNorm1d, BatchNorm2d and BatchNorm3d as exported programs.

    torch.export.cumulative   the same with momentum=None: running statistics are the plain average over all batches

torch.export.export traces the module in train() or eval() for the shape of x; the program runs with the layer's own weights and
buffers, which its training graph updates. Gradients are autograd's.

Source: https://docs.pytorch.org/docs/stable/export.html
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional, Tuple

from bnspec.backends.torch.common import TorchAdapter
from bnspec.backends.torch.modules import (
    CONVENTIONS,
    CumulativeModule,
    StatefulModule,
    module_over,
    new_module,
    steps_of,
)
from bnspec.contract import LayerConfig
from bnspec.model.call import Mode

#: The programs by mode, and what they were traced for.
Programs = Dict[Tuple[Any, ...], Any]


class TorchExport(TorchAdapter):
    """Programs are kept for each form of layer, mode and shape of x."""

    conventions = CONVENTIONS

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        self.programs: Programs = {}

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> ExportedLayer:
        """The module of x's rank, to be exported when it is called."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return ExportedLayer(self.torch, module, self.programs)

    def new_layer(self, config: LayerConfig) -> ExportedLayer:
        """The module of x's rank as constructed, to be exported when it is called."""
        return ExportedLayer(self.torch, new_module(self.torch, config, self.place), self.programs)


class ExportedLayer(StatefulModule):
    """One module, and the programs made of its like."""

    def __init__(self, torch: Any, module: Any, programs: Programs) -> None:
        super().__init__(torch, module)
        self.programs = programs

    def over(self, module: Any) -> ExportedLayer:
        """The same kind of layer around another module."""
        return ExportedLayer(self.torch, module, self.programs)

    def program(self, x: Any, mode: Mode) -> Any:
        """The program of the module in this mode for x's shape."""
        old, statistic = self.module, self.module.running_mean
        form = (type(old), old.num_features, old.eps, old.momentum, old.affine, statistic.dtype, statistic.device)
        key = (mode, *form, x.dtype, tuple(x.shape), x.stride(), x.requires_grad)
        if key not in self.programs:
            self.module.train(mode == "training")
            self.programs[key] = self.torch.export.export(self.module, (x.detach().clone(),)).module()
        return self.programs[key]

    def forward(self, x: Any, mode: Mode) -> Any:
        """The program's call with this layer's weights and buffers."""
        values = {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}
        return self.torch.func.functional_call(self.program(x, mode), values, (x,))


class TorchExportCumulative(TorchExport):
    """Modules that average over all their batches."""

    conventions = dataclasses.replace(CONVENTIONS, first_batch="replace")

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> CumulativeExport:
        """The module of x's rank, after as many steps as its decay says. Raises Declined: no number of steps has this decay."""
        steps = steps_of(config.decay)
        return self.counting(super().layer(config, gamma, beta, running_mean, running_var).module, steps)

    def new_layer(self, config: LayerConfig) -> CumulativeExport:
        """The module of x's rank, as constructed."""
        return self.counting(super().new_layer(config).module, 0)

    def counting(self, module: Any, steps: int) -> CumulativeExport:
        """The layer of a module as after so many steps."""
        module.momentum = None
        module.num_batches_tracked.fill_(steps)
        return CumulativeExport(self.torch, module, self.programs)


class CumulativeExport(CumulativeModule, ExportedLayer):
    """One module without a momentum, and the programs made of its like."""

    def over(self, module: Any) -> CumulativeExport:
        """The same kind of layer around another module."""
        return CumulativeExport(self.torch, module, self.programs)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The program's call; a step that is done leaves the count as it was before it."""
        y = ExportedLayer.forward(self, x, mode)
        self.put_back(mode)
        return y
