"""LayerNorm of 64 values, 10000 and 10001 in turn: what are the first two of y? By the definition -1 and 1."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

x = mx.array((1e4 + np.arange(64) % 2).astype(np.float32).reshape(1, 64))
print(np.round(np.array(nn.LayerNorm(64)(x))[0, :2], 2).tolist())
