"""x 1, running mean 0 and variance 1e-6, epsilon 1e-8 through tf.compat.v1.nn.fused_batch_norm: what is y? By the definition 995."""

import tensorflow as tf

x, one = tf.ones((1, 1, 1, 1)), tf.ones(1)
y, _, _ = tf.compat.v1.nn.fused_batch_norm(
    x, one, 0 * one, mean=0 * one, variance=1e-6 * one, epsilon=1e-8, is_training=False
)
print(round(float(y[0, 0, 0, 0])))
