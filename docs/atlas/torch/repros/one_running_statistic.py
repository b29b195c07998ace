"""Training with a running variance and no running mean: is the one that is there updated? x [[1], [5]], variance 8, momentum 0.5."""

import torch

x, running_var = torch.tensor([[1.0], [5.0]]), torch.ones(1)
torch.nn.functional.batch_norm(x, None, running_var, training=True, momentum=0.5)
print("running_var becomes %.3f" % running_var.item())
