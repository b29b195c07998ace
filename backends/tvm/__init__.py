"""The TVM backends."""
