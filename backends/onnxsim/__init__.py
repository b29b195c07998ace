"""The ONNX Simplifier backends."""
