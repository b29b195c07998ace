"""A weight with stride 2, NaN between its values, training: is dx finite? Who reads it as if it were packed takes the NaN."""

import torch

x = torch.tensor([[1.0, 1.0], [3.0, 3.0]], requires_grad=True)
weight = torch.tensor([2.0, float("nan"), 3.0, float("nan")])[::2]
y = torch.nn.functional.batch_norm(x, None, None, weight, torch.zeros(2), training=True)
(dx,) = torch.autograd.grad(y, x, torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
print("y and dx are finite" if torch.isfinite(dx).all() else "dx holds nan")
