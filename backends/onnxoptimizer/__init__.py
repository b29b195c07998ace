"""The backend of ONNX Optimizer."""
