"""The ONNX backends."""
