"""Inference of x [[1], [3]] by mean 0 and variance 4 with epsilon -1, where variance + epsilon is 3: what is y?"""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

layer = nn.BatchNorm(1, eps=-1.0).eval()
layer.running_var = mx.array([4.0])
print(np.round(np.array(layer(mx.array([[1.0], [3.0]]))), 3).ravel().tolist())
