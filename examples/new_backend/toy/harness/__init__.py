"""The toy framework, harness side: known deviations and repro scripts."""
