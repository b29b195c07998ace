"""The ONNX Runtime backends."""
