"""Normalization in float64, mean 1 and variance 4, of [[1], [3]] in float64, on Keras' NumPy backend: of which dtype is y?"""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

layer = keras.layers.Normalization(mean=1.0, variance=4.0, dtype="float64")
print(np.asarray(layer(np.array([[1.0], [3.0]]))).dtype)
