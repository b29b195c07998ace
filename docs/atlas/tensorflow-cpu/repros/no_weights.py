"""tf.nn.weighted_moments of [1, 3] with the weights 0 and 0: what are mean and variance? Of nothing the definition has none."""

import numpy as np
import tensorflow as tf

moments = tf.nn.weighted_moments(tf.constant([[1.0], [3.0]]), [0], tf.zeros((2, 1)))
print([np.asarray(m).tolist() for m in moments])
