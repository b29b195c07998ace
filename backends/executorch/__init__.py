"""The ExecuTorch backends."""
