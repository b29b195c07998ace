"""The TensorFlow backends."""
