"""``torch.folded*``: a BatchNorm module in eval(), folded into the convolution or the linear layer before it.

    torch.folded                      Conv1d, Conv2d and Conv3d, by torch.nn.utils.fuse_conv_bn_eval
    torch.folded.transposed           ConvTranspose1d, ConvTranspose2d and ConvTranspose3d, by the same with transpose=True
    torch.folded.transposed.grouped   the same in groups
    torch.folded.linear               Linear, by torch.nn.utils.fuse_linear_bn_eval
    torch.folded.jit                  Conv1d, Conv2d and Conv3d in a script, by torch.jit.freeze

The layer before it computes the case's x exactly; see ``worker.folding``.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.fuse_conv_bn_eval.html
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any, Optional, Tuple

from bnspec.backends.torch.common import TorchAdapter, placed
from bnspec.backends.torch.modules import CONVENTIONS, module_over
from bnspec.backends.worker.folding import FINITE_ONLY, NO_VALUES, TOO_WIDE, WEIGHTS_AT_MOST, mixing, pairs
from bnspec.backends.worker.forward_only import InferenceOnly
from bnspec.contract import Declined, LayerConfig, State


class TorchFolded(TorchAdapter):
    """A convolution, in pairs of channels where their number is even; its x is packed on the way."""

    conventions = dataclasses.replace(
        CONVENTIONS,
        half_arithmetic="input",
        half_parameters=("input",),
        ranks=(3, 4, 5),
        layouts="normalised",
        checks_arguments=False,
        gradient_modes=(),
    )
    #: The class of the layer before, but for the number of its spatial axes.
    before = "Conv%dd"

    def layer(
        self, config: LayerConfig, gamma: Optional[Any], beta: Optional[Any], running_mean: Any, running_var: Any
    ) -> FoldedLayer:
        """The module of x's rank, which is folded when it is called."""
        module = module_over(self.torch, config, self.place, gamma, beta, running_mean, running_var)
        return FoldedConvolution(self, module, config.rank - 2)

    def groups(self, channels: int) -> int:
        """In how many groups channels are convolved."""
        return pairs(channels)

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
        torch = self.torch
        pair = torch.nn.Sequential(before, module).eval()
        return torch.jit.freeze(torch.jit.script(pair))


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


class FoldedLayer(InferenceOnly):
    """One module and the layer before it. Subclasses define ``before``."""

    def __init__(self, owner: TorchFolded, module: Any) -> None:
        self.owner, self.torch, self.module = owner, owner.torch, module

    @abc.abstractmethod
    def before(self, x: Any) -> Tuple[Any, Any, Any]:
        """The layer before, the module whose channels are its outputs, and the input of which it makes x."""

    def inference(self, x: Any) -> Any:
        """y of the folded layer."""
        if not bool(self.torch.isfinite(x).all()):
            raise Declined(FINITE_ONLY)
        with self.torch.no_grad():
            before, module, given = self.before(x)
            return self.owner.folded(before.eval(), module.eval())(given)

    def state(self) -> State:
        """The module's buffers."""
        return State(self.module.running_mean, self.module.running_var)

    def moved(self) -> Tuple[Any, Any]:
        """A bias, and the module with a running mean that is larger by it: the running mean, where its double is finite."""
        torch, old = self.torch, self.module
        mean = old.running_mean
        bias = torch.where(torch.isfinite(2.0 * mean), mean, torch.zeros_like(mean))
        module = placed(
            type(old), old.num_features, device=mean.device, dtype=mean.dtype, eps=old.eps, affine=old.affine
        )
        if old.affine:
            module.weight, module.bias = old.weight, old.bias
        module.running_mean, module.running_var = mean + bias, old.running_var
        return bias, module

    def mixing(self, x: Any, outputs: int, groups: int) -> Tuple[Any, Any]:
        """``mixing`` as tensors, the signs in x's dtype."""
        sources, signs = (self.torch.from_numpy(a).to(x.device) for a in mixing(outputs, groups))
        return sources, signs.to(x.dtype)


class FoldedConvolution(FoldedLayer):
    """A module after a convolution with kernels of one value."""

    def __init__(self, owner: TorchFolded, module: Any, spatial: int) -> None:
        super().__init__(owner, module)
        self.spatial = spatial

    def before(self, x: Any) -> Tuple[Any, Any, Any]:
        """The convolution: in each group, an output is the next channel."""
        torch, channels = self.torch, self.module.num_features
        groups = self.owner.groups(channels)
        if 0 in x.shape[2:]:
            raise Declined(NO_VALUES)
        if channels * channels // groups > WEIGHTS_AT_MOST:
            raise Declined(TOO_WIDE)
        bias, module = self.moved()
        sources, signs = self.mixing(x, channels, groups)
        made = getattr(torch.nn, self.owner.before % self.spatial)
        convolution = placed(made, channels, channels, 1, groups=groups, device=x.device, dtype=x.dtype)
        weight, outputs = torch.zeros_like(convolution.weight), torch.arange(channels, device=x.device)
        rows, columns = (sources, outputs) if convolution.transposed else (outputs, sources)
        weight[rows, columns % (channels // groups)] = signs.reshape(-1, *[1] * self.spatial)
        convolution.weight, convolution.bias = torch.nn.Parameter(weight), torch.nn.Parameter(bias.to(x.dtype))
        given = torch.empty_like(x, memory_format=torch.contiguous_format)
        given[:, sources] = x * signs.reshape(-1, *[1] * self.spatial)
        return convolution, module, given


class FoldedLinear(FoldedLayer):
    """A module after a linear layer."""

    def before(self, x: Any) -> Tuple[Any, Any, Any]:
        """The linear layer: an output is the next input."""
        torch, outputs, channels = self.torch, x.shape[-1], self.module.num_features
        if channels not in (1, outputs):
            raise Declined("torch.nn.utils.fuse_linear_bn_eval folds one channel, or as many as there are outputs")
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
