"""Adapters of real implementations, and the worker processes they live in."""
