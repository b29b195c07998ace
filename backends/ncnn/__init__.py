"""The ncnn backends."""
