"""What adapters of PyTorch's modules share: the module of x's rank, over a case's own tensors."""

from __future__ import annotations

from typing import Any, Optional

from bnspec.backends.torch_common import NO_EPSILON
from bnspec.contract import Declined, LayerConfig

MODULES = {2: "BatchNorm1d", 3: "BatchNorm1d", 4: "BatchNorm2d", 5: "BatchNorm3d"}


def new_module(torch: Any, config: LayerConfig, place: Any) -> Any:
    """A ``torch.nn.BatchNorm*d`` on the device ``place``, as constructed. Raises Declined: epsilon 0, which PyTorch refuses."""
    if config.epsilon == 0.0:
        raise Declined(NO_EPSILON)
    return getattr(torch.nn, MODULES[config.rank])(
        config.channels,
        eps=config.epsilon,
        momentum=1.0 - config.decay,
        affine=config.affine,
        device=place,
        dtype=getattr(torch, config.parameter_dtype),
    )


def module_over(
    torch: Any,
    config: LayerConfig,
    place: Any,
    gamma: Optional[Any],
    beta: Optional[Any],
    running_mean: Any,
    running_var: Any,
) -> Any:
    """A ``torch.nn.BatchNorm*d`` on the device ``place``, whose weight, bias and buffers are these tensors."""
    module = new_module(torch, config, place)
    if config.affine:
        module.weight, module.bias = torch.nn.Parameter(gamma), torch.nn.Parameter(beta)
    module.running_mean, module.running_var = running_mean, running_var
    return module
