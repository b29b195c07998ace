"""RMSNorm with epsilon 0 of [1, 3]: what is y? By the definition 0.447 and 1.342."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

print(np.round(np.array(nn.RMSNorm(2, eps=0.0)(mx.array([[1.0, 3.0]]))), 3).ravel().tolist())
