"""The Keras 3 backends, on TensorFlow, PyTorch and JAX."""
