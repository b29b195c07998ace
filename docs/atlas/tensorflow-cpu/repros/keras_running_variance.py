"""tf.keras.layers.BatchNormalization of the images 1 and 3 of one pixel, momentum 0: what is the moving variance? With the divisor 2 it is 1, with 1 it is 2."""

import numpy as np
import tensorflow as tf

layer = tf.keras.layers.BatchNormalization(momentum=0.0)
layer(np.array([1, 3], np.float32).reshape(2, 1, 1, 1), training=True)
print(np.asarray(layer.moving_variance).tolist())
