"""Zeros of shape (2, 3, 4, 5) with axis=1 and the batch's statistics, flax.linen: of which shape is y? By the definition (2, 3, 4, 5)."""

import jax
import numpy as np
from flax import linen

x, layer = np.zeros((2, 3, 4, 5), np.float32), linen.BatchNorm(use_running_average=False, axis=1)
y, _ = layer.apply(layer.init(jax.random.PRNGKey(0), x), x, mutable=["batch_stats"])
print(y.shape)
