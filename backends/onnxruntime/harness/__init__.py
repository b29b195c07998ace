"""onnxruntime, harness side: known deviations and repro scripts."""
