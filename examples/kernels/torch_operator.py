"""Batch normalization as an operator of torch.library: bnspec judge torch_operator.py::mine::batch_norm."""

import torch


@torch.library.custom_op("mine::batch_norm", mutates_args=("running_mean", "running_var"))
def batch_norm(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    running_mean: torch.Tensor,
    running_var: torch.Tensor,
    eps: float,
    momentum: float,
    training: bool,
) -> torch.Tensor:
    axes, shape = [a for a in range(x.dim()) if a != 1], [1, -1] + [1] * (x.dim() - 2)
    mean, var = running_mean.clone(), running_var.clone()
    if training:
        var, mean = torch.var_mean(x, axes, correction=0)
    y = (x - mean.view(shape)) * (weight / torch.sqrt(var + eps)).view(shape) + bias.view(shape)
    if training:
        running_mean.lerp_(mean, momentum)
        running_var.lerp_(var, momentum)
    return y
