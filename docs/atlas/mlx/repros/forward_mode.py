"""Forward-mode derivative by x_0 of training of [[1], [2], [6]]: is there one? By the definition its sum is 0."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

x, t = mx.array([[1.0], [2.0], [6.0]]), mx.array([[1.0], [0.0], [0.0]])
_, (tangent,) = mx.jvp(nn.BatchNorm(1), [x], [t])
print(np.round(np.array(tangent), 3).ravel().tolist())
