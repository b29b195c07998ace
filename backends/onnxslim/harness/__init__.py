"""OnnxSlim, harness side: known deviations."""
