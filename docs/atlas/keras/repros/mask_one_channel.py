"""x [[1], [3], [9]] whose mask leaves 1 and 3, momentum 0, on Keras' NumPy backend: what is the running mean? By the definition 2."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

layer = keras.layers.BatchNormalization(momentum=0.0)
layer(np.array([[1], [3], [9]], np.float32), training=True, mask=np.array([True, True, False]))
print(np.asarray(layer.moving_mean))
