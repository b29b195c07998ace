"""Normalization over axis 1 with mean [1, 2] and variance [1, 4], x of shape (1, 2, 1, 1) that holds 2 and 6: what is y? By the definition 1 and 2."""

import os

os.environ["KERAS_BACKEND"] = "numpy"
import keras
import numpy as np

layer = keras.layers.Normalization(axis=1, mean=[1.0, 2.0], variance=[1.0, 4.0])
print(np.asarray(layer(np.array([[[[2.0]], [[6.0]]]], np.float32))).ravel().tolist())
