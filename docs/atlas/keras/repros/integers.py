"""x [[1], [3]], of integers, with the batch's statistics, on Keras' NumPy backend: what is y? By the definition about -1 and 1, floating."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

y = np.asarray(keras.layers.BatchNormalization(epsilon=0.0)(np.array([[1], [3]]), training=True))
print(y.dtype, y.ravel().tolist())
