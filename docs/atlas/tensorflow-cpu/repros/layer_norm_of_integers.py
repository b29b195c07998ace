"""tf.keras.layers.LayerNormalization of [1, 3] in int32, epsilon 0.5: what is y? By the definition -0.816 and 0.816."""

import numpy as np
import tensorflow as tf

y = tf.keras.layers.LayerNormalization(epsilon=0.5)(tf.constant(np.array([[1, 3]], np.int32)))
print(np.round(np.asarray(y), 3).ravel().tolist())
