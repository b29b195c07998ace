"""The backends of ONNX Script."""
