"""Layer normalization in PyTorch: ``torch.nn.functional.layer_norm``, or the module around it.

Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
"""

from __future__ import annotations

from typing import Any, Callable, List

from bnspec.backends.torch.common import placed
from bnspec.contract import Gradients, LayerConfig, LayerNorm


class TorchLayerNorm(LayerNorm):
    """A function of x, differentiated by autograd.

    Args:
        call: y of x; parameters: gamma and beta, leaves of its graph.
    """

    def __init__(self, torch: Any, call: Callable[[Any], Any], parameters: List[Any]) -> None:
        self.torch, self.call, self.parameters = torch, call, parameters

    def training(self, x: Any) -> Any:
        """y under no_grad."""
        with self.torch.no_grad():
            return self.call(x)

    def training_gradients(self, x: Any, dy: Any) -> Gradients:
        """y, and autograd's gradients for x, gamma and beta."""
        leaf = x.detach().requires_grad_()
        y = self.call(leaf)
        return Gradients(y.detach(), *self.torch.autograd.grad(y, [leaf, *self.parameters], dy))


def functional(torch: Any, config: LayerConfig, gamma: Any, beta: Any) -> TorchLayerNorm:
    """The function."""
    weight, bias = gamma.detach().requires_grad_(), beta.detach().requires_grad_()
    shape, epsilon = (config.channels,), config.epsilon
    call = torch.nn.functional.layer_norm
    return TorchLayerNorm(torch, lambda x: call(x, shape, weight, bias, epsilon), [weight, bias])


def module(torch: Any, config: LayerConfig, gamma: Any, beta: Any) -> TorchLayerNorm:
    """``torch.nn.LayerNorm`` over these tensors."""
    norm = placed(torch.nn.LayerNorm, config.channels, eps=config.epsilon, device=gamma.device, dtype=gamma.dtype)
    norm.weight, norm.bias = torch.nn.Parameter(gamma), torch.nn.Parameter(beta)
    return TorchLayerNorm(torch, norm, [norm.weight, norm.bias])
