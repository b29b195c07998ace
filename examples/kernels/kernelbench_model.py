"""KernelBench's problem of batch normalization in its form: a Model, get_inputs and get_init_inputs."""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self, num_features: int):
        super().__init__()
        self.bn = nn.BatchNorm2d(num_features=num_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x)


batch_size, features, dim1, dim2 = 64, 64, 512, 512


def get_inputs():
    return [torch.rand(batch_size, features, dim1, dim2)]


def get_init_inputs():
    return [features]
