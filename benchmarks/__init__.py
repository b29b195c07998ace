"""Timings, each with the verdict of the very tensors it timed."""
