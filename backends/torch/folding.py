"""A BatchNorm module in eval() that is folded into the layer before it: what the ways to fold have in common.

The layer before it computes the case's x exactly; see ``worker.folding``.
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


class FoldingAdapter(TorchAdapter):
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

    @abc.abstractmethod
    def folded(self, before: Any, module: Any) -> Any:
        """Both modules, of eval(), as one."""


class FoldedLayer(InferenceOnly):
    """One module and the layer before it. Subclasses define ``before``."""

    def __init__(self, owner: FoldingAdapter, module: Any) -> None:
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

    def __init__(self, owner: FoldingAdapter, module: Any, spatial: int) -> None:
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


def two_heads(torch: Any, before: Any, module: Any) -> Any:
    """A model of the convolution with another module, which halves, and of the same convolution with this one."""

    class Heads(torch.nn.Module):
        """The model."""

        def __init__(self) -> None:
            super().__init__()
            self.before, self.module = before, module
            self.other = type(module)(module.num_features, eps=0.0, dtype=module.running_mean.dtype)
            self.other.running_var.fill_(4.0)

        def forward(self, given: Any) -> Any:
            """y of the other module, and of this one."""
            y = self.other(self.before(given))
            return y, self.module(self.before(given))

    return Heads()
