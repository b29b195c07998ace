"""The OnnxSlim backends."""
