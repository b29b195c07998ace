"""BatchNorm1d(1, bias=False): which parameters has it?"""

import torch

print([name for name, _ in torch.nn.BatchNorm1d(1, bias=False).named_parameters()])
