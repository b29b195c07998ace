"""LayerNormalization of [[1000, 3000]] in float16, on Keras' NumPy backend: what is y? By the definition -1 and 1."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

y = keras.layers.LayerNormalization(dtype="float16")(np.array([[1000, 3000]], np.float16))
print(np.asarray(y).astype(float).round(2).ravel().tolist())
