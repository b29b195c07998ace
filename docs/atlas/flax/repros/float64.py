"""x [[1], [3]] in float64, x64 enabled, flax.linen: of which dtypes are y, the running mean and gamma? By the definition y is float64."""

import jax
import numpy as np
from flax import linen

jax.config.update("jax_enable_x64", True)
x, layer = np.array([[1.0], [3.0]]), linen.BatchNorm(use_running_average=False)
variables = layer.init(jax.random.PRNGKey(0), x)
y, after = layer.apply(variables, x, mutable=["batch_stats"])
print(y.dtype, after["batch_stats"]["mean"].dtype, variables["params"]["scale"].dtype)
