"""The adapter of Keras on its OpenVINO backend."""
