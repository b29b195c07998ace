"""ONNX Optimizer, harness side: known deviations and repro scripts."""
