"""LayerNorm of [1, 3] in int32, epsilon 0: what is y, and of which dtype? By the definition -1 and 1."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

y = eqx.nn.LayerNorm(2, eps=0.0)(jnp.array(np.array([1, 3], np.int32)))
print(y.dtype, np.asarray(y).tolist())
