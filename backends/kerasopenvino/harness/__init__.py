"""Keras on OpenVINO on the harness side: known deviations and repro scripts."""
