"""tf.keras.layers.LayerNormalization in float16 of [1000, 3000]: what is y? By the definition -1 and 1; the variance, 1e6, is no float16."""

import numpy as np
import tensorflow as tf

layer = tf.keras.layers.LayerNormalization(dtype="float16")
print(np.asarray(layer(tf.constant(np.array([[1000, 3000]], np.float16)))).astype(float).ravel().tolist())
