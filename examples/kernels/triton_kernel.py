"""Batch normalization in inference as a Triton kernel: one program for each channel of each sample."""

import torch
import triton
import triton.language as tl


@triton.jit
def infer(x_ptr, gamma_ptr, beta_ptr, mean_ptr, var_ptr, y_ptr, channels, positions, eps, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    channel = row % channels
    mean, var = tl.load(mean_ptr + channel), tl.load(var_ptr + channel)
    scale = tl.load(gamma_ptr + channel) / tl.sqrt(var + eps)
    beta = tl.load(beta_ptr + channel)
    for start in range(0, positions, BLOCK):
        at = start + tl.arange(0, BLOCK)
        inside = at < positions
        x = tl.load(x_ptr + row * positions + at, mask=inside)
        tl.store(y_ptr + row * positions + at, (x - mean) * scale + beta, mask=inside)


def run(x, gamma, beta, running_mean, running_var, eps):
    x, (n, c) = x.contiguous(), x.shape[:2]
    gamma, beta, mean, var = (p.contiguous() for p in (gamma, beta, running_mean, running_var))
    y = torch.empty_like(x)
    if x.numel():
        infer[(n * c,)](x, gamma, beta, mean, var, y, c, x[0, 0].numel(), eps, BLOCK=16)
    return y
