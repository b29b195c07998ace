"""layer_norm of 64 values, 10000 and 10001 in turn: what are the first two of y? By the definition -1 and 1."""

import torch

y = torch.nn.functional.layer_norm((1e4 + torch.arange(64) % 2).float(), (64,))
print([round(float(v), 2) for v in y[:2]])
