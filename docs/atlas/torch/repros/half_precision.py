"""x [[1], [3]] in float16 on the CPU, training: what is y?"""

import torch

x = torch.tensor([[1.0], [3.0]], dtype=torch.float16)
print([round(float(v), 3) for v in torch.nn.functional.batch_norm(x, None, None, training=True)])
