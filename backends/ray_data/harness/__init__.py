"""ray_data, harness side: known deviations and repro scripts."""
