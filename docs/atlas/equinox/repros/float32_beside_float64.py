"""jax_enable_x64 is on, x [[1], [3]] is float32, the layer as it is made without a dtype, training: what is y? By the definition -1 and 1."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
options = {"input_size": 1, "axis_name": "batch", "momentum": 0.5, "eps": 0.0}
if hasattr(eqx.nn, "make_with_state"):
    layer, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(**options)
else:
    layer = eqx.nn.BatchNorm(**options)
    state = eqx.nn.State(layer)
x = jnp.array(np.array([[1], [3]], np.float32))
y, _ = jax.vmap(layer, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, state)
print(np.asarray(y).ravel().tolist())
