"""x [[1], [3]] in uint8 after training on [[1.], [3.]], decay 0.5, epsilon 0: what is y in inference? By the definition -1 and 1."""

import haiku
import jax
import numpy as np

x = np.array([[1], [3]], np.float32)
layer = haiku.transform_with_state(lambda x, training: haiku.BatchNorm(True, True, 0.5, 0.0)(x, is_training=training))
variables, state = layer.init(jax.random.PRNGKey(0), x, True)
_, state = layer.apply(variables, state, None, x, True)
y, _ = layer.apply(variables, state, None, x.astype(np.uint8), False)
print(y.dtype, y.ravel().tolist())
