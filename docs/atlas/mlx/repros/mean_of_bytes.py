"""The mean of 200 and 100 in uint8: what is it? By the definition 150; their sum is no byte."""

import mlx.core as mx
import numpy as np

print(mx.mean(mx.array(np.array([200, 100], np.uint8))).item())
