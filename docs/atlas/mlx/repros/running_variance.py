"""x [[1], [3]], momentum 1, through mlx.nn.BatchNorm in training: what is the running variance? With the divisor 2 it is 1, with 1 it is 2."""

import mlx.core as mx
import mlx.nn as nn

layer = nn.BatchNorm(1, momentum=1.0)
layer(mx.array([[1.0], [3.0]]))
print(layer.running_var.tolist())
