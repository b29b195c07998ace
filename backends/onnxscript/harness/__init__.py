"""ONNX Script, harness side: known deviations and repro scripts."""
