"""The MNN backends."""
