"""x and the parameters of flax.nnx.BatchNorm in float64: of which dtype is the running mean, new and after a step?"""

import flax.nnx as nnx
import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
layer = nnx.BatchNorm(1, param_dtype=np.float64, rngs=nnx.Rngs(0))
before = layer.mean.value.dtype
layer(np.array([[1.0], [3.0]]))
print(before, layer.mean.value.dtype)
