"""x [[1], [3]] in float64 on the CPU, training: of which dtype is y? By the definition x's."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

mx.set_default_device(mx.cpu)
print(nn.BatchNorm(1)(mx.array(np.array([[1.0], [3.0]], np.float32)).astype(mx.float64)).dtype)
