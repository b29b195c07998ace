"""The twin of torch_kernel.py with one mistake: no gradient flows through the statistics."""

import torch


def run(x, weight, bias, running_mean, running_var, eps, momentum, training):
    axes, shape = [a for a in range(x.dim()) if a != 1], [1, -1] + [1] * (x.dim() - 2)
    mean, var = running_mean.clone(), running_var.clone()
    if training:
        var, mean = torch.var_mean(x.detach(), axes, correction=0)
    y = (x - mean.view(shape)) * (weight / torch.sqrt(var + eps)).view(shape) + bias.view(shape)
    if training:
        with torch.no_grad():
            running_mean.lerp_(mean, momentum)
            running_var.lerp_(var, momentum)
    return y
