"""ONNX Simplifier, harness side: known deviations."""
