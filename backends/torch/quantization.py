"""``torch.qat``: a convolution and a BatchNorm module fused for quantization-aware training, without a quantization.

``torch.ao.nn.intrinsic.qat.ConvBn*d`` made of both by ``from_float``. The convolution is the identity, and fake quantization is
``torch.nn.Identity``, so what is left is the module: of x, which is multiplied by weight / running std in the convolution and divided
by it again.

Source: https://docs.pytorch.org/docs/stable/generated/torch.ao.nn.intrinsic.qat.ConvBn2d.html
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Optional

from bnspec.backends.torch.common import TorchAdapter, placed
from bnspec.backends.torch.modules import CONVENTIONS, StatefulModule, module_over
from bnspec.backends.worker.folding import NO_VALUES
from bnspec.contract import Declined, LayerConfig
from bnspec.model.call import Mode


class TorchQat(TorchAdapter):
    """The fused modules for x of each rank."""

    conventions = dataclasses.replace(
        CONVENTIONS, dtypes=("float64", "float32"), ranks=(3, 4, 5), layouts="normalised", checks_arguments=False
    )

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FusedLayer:
        """The module of x's rank, fused."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return FusedLayer(self.torch, module, config.rank - 2)


class FusedLayer(StatefulModule):
    """One fused module; ``module`` is the BatchNorm in it."""

    def __init__(self, torch: Any, module: Any, spatial: int) -> None:
        super().__init__(torch, module)
        self.spatial = spatial
        mean, channels = module.running_mean, module.num_features
        made = getattr(torch.nn, "Conv%dd" % spatial)
        before = placed(made, channels, channels, 1, groups=channels, bias=False, device=mean.device, dtype=mean.dtype)
        torch.nn.init.ones_(before.weight).requires_grad_(False)
        quantization = importlib.import_module("torch.ao.quantization")
        intrinsic = importlib.import_module("torch.ao.nn.intrinsic.qat")
        name = "ConvBn%dd" % spatial
        pair = getattr(importlib.import_module("torch.ao.nn.intrinsic"), name)(before, module)
        pair.qconfig = quantization.QConfig(activation=torch.nn.Identity, weight=torch.nn.Identity)
        self.fused = getattr(intrinsic, name).from_float(pair)
        self.module = self.fused.bn

    def over(self, module: Any) -> FusedLayer:
        """The same kind of layer around another module."""
        return FusedLayer(self.torch, module, self.spatial)

    def forward(self, x: Any, mode: Mode) -> Any:
        """The fused module's call in train() or eval(). Raises Declined: a convolution takes no x without extents."""
        if 0 in x.shape[2:]:
            raise Declined(NO_VALUES)
        self.fused.train(mode == "training")
        return self.fused(x)
