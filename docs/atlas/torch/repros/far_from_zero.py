"""x [[10000], [10001]] in training: what is y, to four digits? With epsilon 1e-5 and the variance 0.25, -1.0000 and 1.0000."""

import torch

y = torch.nn.functional.batch_norm(torch.tensor([[10000.0], [10001.0]]), None, None, training=True)
print(["%.4f" % v for v in y])
