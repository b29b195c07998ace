"""x [[1+1j], [3-1j]], momentum 0.5, flax.linen: of which dtype is y, and what is the running variance? Of |x - mean|^2: 1.5."""

import jax
import numpy as np
from flax import linen

x, layer = np.array([[1 + 1j], [3 - 1j]], np.complex64), linen.BatchNorm(use_running_average=False, momentum=0.5)
y, after = layer.apply(layer.init(jax.random.PRNGKey(0), x), x, mutable=["batch_stats"])
print(y.dtype, after["batch_stats"]["var"])
