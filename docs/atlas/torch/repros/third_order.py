"""The third derivative by x of training, through autograd alone: is there one? By the definition every order exists."""

import torch

x = torch.tensor([[1.0], [2.0], [6.0]], dtype=torch.float64, requires_grad=True)
y = torch.nn.functional.batch_norm(x, None, None, training=True)[0].sum()
for _ in range(2):
    (y,) = torch.autograd.grad(y, x, create_graph=True)
    y = (y * torch.tensor([[1.0], [2.0], [5.0]])).sum()
print([round(float(v), 3) for v in torch.autograd.grad(y, x)[0]])
