"""Inference of x [[1], [3]] by running variance 4 with epsilon -1, where variance + epsilon is 3: what is y?"""

import torch

x = torch.tensor([[1.0], [3.0]])
y = torch.nn.functional.batch_norm(x, torch.zeros(1), torch.full((1,), 4.0), eps=-1.0)
print([round(float(v), 3) for v in y])
