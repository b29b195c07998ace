"""tf.keras.layers.BatchNormalization of [[1], [3], [9]] whose mask leaves 1 and 3, momentum 0: what is the moving mean? By the definition 2."""

import numpy as np
import tensorflow as tf

layer, x = tf.keras.layers.BatchNormalization(momentum=0.0), np.array([[1], [3], [9]], np.float32)
layer(x, training=True, mask=tf.constant([True, True, False]))
print(np.asarray(layer.moving_mean).tolist())
