"""x [[1], [3], [9]] of which the mask [[1], [1], [0]], of integers, leaves 1 and 3, flax.linen: what is the running mean, momentum 0? It is 2."""

import jax
import numpy as np
from flax import linen

x, mask = np.array([[1], [3], [9]], np.float32), np.array([[1], [1], [0]])
layer = linen.BatchNorm(use_running_average=False, momentum=0.0)
_, after = layer.apply(layer.init(jax.random.PRNGKey(0), x), x, mask=mask, mutable=["batch_stats"])
print(after["batch_stats"]["mean"])
