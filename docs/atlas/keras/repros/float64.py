"""x 1 in float64, running mean 0 and variance 1e-7, epsilon 1e-7, on Keras' NumPy backend: what is y? By the definition 2236.06797749979."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

layer = keras.layers.BatchNormalization(epsilon=1e-7, dtype="float64")
layer.build((None, 1))
layer.moving_variance.assign(np.array([1e-7]))
print(float(layer(np.ones((1, 1)), training=False)[0, 0]))
