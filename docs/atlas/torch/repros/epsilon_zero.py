"""Training with epsilon 0 of x [[1], [3]], whose variance is not 0: what is y?"""

import torch

x = torch.tensor([[1.0], [3.0]])
print([round(float(v), 3) for v in torch.nn.functional.batch_norm(x, None, None, training=True, eps=0.0)])
