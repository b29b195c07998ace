"""The twin of kernelbench_model.py with one mistake: it infers by the statistics of the batch."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, num_features: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(num_features=num_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        statistics = (self.bn.running_mean, self.bn.running_var) if self.training else (None, None)
        return torch.nn.functional.batch_norm(
            x, *statistics, self.bn.weight, self.bn.bias, True, self.bn.momentum, self.bn.eps
        )


def get_init_inputs():
    return [64]
