"""The PyTorch backends."""
