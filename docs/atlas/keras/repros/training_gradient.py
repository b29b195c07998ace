"""x [[1], [2], [6]], dy [[1], [0], [0]], training, on TensorFlow: what is dx? By the definition 0.176, -0.22 and 0.044, whose sum is 0."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
import keras
import tensorflow as tf

x, layer = tf.constant([[1.0], [2.0], [6.0]]), keras.layers.BatchNormalization(epsilon=0.0)
with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer(x, training=True)
dx = tape.gradient(y, x, tf.constant([[1.0], [0.0], [0.0]]))
print([round(float(d), 3) for d in dx[:, 0]])
