"""Kernels as they come: adapters made from a file that was written for no adapter. The worker's side."""
