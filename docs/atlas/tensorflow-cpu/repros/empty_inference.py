"""The fused operation, inference by mean 0 and variance 1, of an empty batch: what are the statistics that it returns? Those that were given."""

import numpy as np
import tensorflow as tf

normalized = tf.compat.v1.nn.fused_batch_norm
given = {"mean": tf.zeros(1), "variance": tf.ones(1), "is_training": False}
print([np.asarray(a).ravel().tolist() for a in normalized(tf.zeros((0, 1, 1, 1)), tf.ones(1), tf.zeros(1), **given)])
