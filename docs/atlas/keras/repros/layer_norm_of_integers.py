"""LayerNormalization of [[1, 3]] in int32, on Keras' NumPy backend: what is y? By the definition -1 and 1, but for epsilon."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

y = np.asarray(keras.layers.LayerNormalization()(np.array([[1, 3]], np.int32)))
print(y.dtype, y.astype(float).round(2).ravel().tolist())
