"""x [[1000], [3000]], policy mixed_float16, momentum 0, on Keras' NumPy backend: what is the running variance? By the definition 1e6."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

layer = keras.layers.BatchNormalization(momentum=0.0, dtype="mixed_float16")
layer(np.array([[1000], [3000]], np.float32), training=True)
print(np.asarray(layer.moving_variance))
