"""SyncBatchNorm in eval() on the CPU, where there is nothing to synchronize, of x [[1], [3]] by running variance 4: what is y?"""

import torch

layer = torch.nn.SyncBatchNorm(1, eps=0.0).eval()
layer.running_var.fill_(4.0)
print([round(float(v), 3) for v in layer(torch.tensor([[1.0], [3.0]])).flatten()])
