"""Adapters of real implementations, and the worker processes that they run in."""
