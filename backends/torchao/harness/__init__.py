"""torchao, harness side: known deviations and repro scripts."""
