"""Forward-mode derivative of inference by running variance 4: is the tangent of y that of x over 2?"""

import torch
from torch.autograd import forward_ad

x, v = torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0], [0.0]])
with forward_ad.dual_level():
    y = torch.nn.functional.batch_norm(forward_ad.make_dual(x, v), torch.zeros(1), torch.full((1,), 4.0), eps=1e-9)
    tangent = forward_ad.unpack_dual(y)[1]
print(None if tangent is None else [round(float(t), 3) for t in tangent])
