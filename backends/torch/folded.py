"""``torch.folded*``: a BatchNorm module in eval(), folded into the convolution or the linear layer before it.

    torch.folded                      Conv1d, Conv2d and Conv3d, by torch.nn.utils.fuse_conv_bn_eval
    torch.folded.transposed           ConvTranspose1d, ConvTranspose2d and ConvTranspose3d, by the same with transpose=True
    torch.folded.transposed.grouped   the same in groups
    torch.folded.linear               Linear, by torch.nn.utils.fuse_linear_bn_eval
    torch.folded.jit                  Conv1d, Conv2d and Conv3d in a script, by torch.jit.freeze
    torch.folded.jit.linear           Linear in a script, by the same
    torch.folded.fx                   Conv1d, Conv2d and Conv3d in a model, by torch.fx.experimental.optimization.fuse
    torch.folded.fx.shared            the same of a convolution that is called twice, whose first call another module follows

The layer before it computes the case's x exactly; see ``worker.folding``.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, Optional, Tuple

from bnspec.backends.torch.common import placed
from bnspec.backends.torch.folding import FoldedLayer, FoldingAdapter, two_heads
from bnspec.backends.torch.modules import module_over
from bnspec.backends.worker.folding import TOO_WIDE, WEIGHTS_AT_MOST, pairs
from bnspec.contract import Declined, LayerConfig


def frozen(torch: Any, before: Any, module: Any) -> Any:
    """A script of both modules, frozen."""
    return torch.jit.freeze(torch.jit.script(torch.nn.Sequential(before, module).eval()))


class TorchFolded(FoldingAdapter):
    """A convolution, in pairs of channels where their number is even; its x is packed on the way."""

    def folded(self, before: Any, module: Any) -> Any:
        """Both modules as one."""
        return self.torch.nn.utils.fuse_conv_bn_eval(before, module)


class TorchFoldedTransposed(TorchFolded):
    """A transposed convolution of all channels."""

    before = "ConvTranspose%dd"

    def groups(self, channels: int) -> int:
        """One group."""
        return 1

    def folded(self, before: Any, module: Any) -> Any:
        """Both modules as one."""
        return self.torch.nn.utils.fuse_conv_bn_eval(before, module, transpose=True)


class TorchFoldedTransposedGrouped(TorchFoldedTransposed):
    """A transposed convolution of pairs of channels, of single ones where their number is odd."""

    def groups(self, channels: int) -> int:
        """More than one, unless there are two channels or one."""
        return pairs(channels) if channels % 2 == 0 else channels


class TorchFoldedJit(TorchFolded):
    """A convolution and the module in a script, which freezing makes one convolution."""

    def folded(self, before: Any, module: Any) -> Any:
        """The frozen script."""
        return frozen(self.torch, before, module)


class TorchFoldedFx(TorchFolded):
    """A convolution and the module in a model, which is traced."""

    def folded(self, before: Any, module: Any) -> Any:
        """The traced model."""
        return self.fused(self.torch.nn.Sequential(before, module))

    def fused(self, model: Any) -> Any:
        """A model in eval(), traced and folded."""
        return importlib.import_module("torch.fx.experimental.optimization").fuse(model.eval())


class TorchFoldedFxShared(TorchFoldedFx):
    """Heads that share a convolution, each with a module of its own."""

    def folded(self, before: Any, module: Any) -> Any:
        """The traced model's second result."""
        model = self.fused(two_heads(self.torch, before, module))
        return lambda given: model(given)[1]


class TorchFoldedLinear(TorchFolded):
    """A linear layer; its outputs are the channels of rows, and the last extent of x of rank 3."""

    conventions = dataclasses.replace(TorchFolded.conventions, ranks=(2, 3))

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FoldedLayer:
        """The module of x's rank, which is folded when it is called."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return FoldedLinear(self, module)

    def folded(self, before: Any, module: Any) -> Any:
        """Both modules as one."""
        return self.torch.nn.utils.fuse_linear_bn_eval(before, module)


class FoldedLinear(FoldedLayer):
    """A module after a linear layer."""

    def before(self, x: Any) -> Tuple[Any, Any, Any]:
        """The linear layer: an output is the next input."""
        torch, outputs, channels = self.torch, x.shape[-1], self.module.num_features
        if channels not in (1, outputs):
            raise Declined("a linear layer is folded with one channel, or as many as it has outputs")
        if outputs * outputs > WEIGHTS_AT_MOST:
            raise Declined(TOO_WIDE)
        rows = x.dim() == 2
        bias, module = self.moved() if rows else (torch.zeros(outputs, dtype=x.dtype, device=x.device), self.module)
        linear = placed(torch.nn.Linear, outputs, outputs, device=x.device, dtype=x.dtype)
        sources, signs = self.mixing(x, outputs, 1)
        weight = torch.zeros_like(linear.weight)
        weight[torch.arange(outputs, device=x.device), sources] = signs
        linear.weight, linear.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias.to(x.dtype))
        given = torch.empty_like(x, memory_format=torch.contiguous_format)
        given[..., sources] = x * signs
        return linear, module, given


class TorchFoldedJitLinear(TorchFoldedLinear):
    """A linear layer and the module in a script, which freezing makes one linear layer."""

    def folded(self, before: Any, module: Any) -> Any:
        """The frozen script."""
        return frozen(self.torch, before, module)
