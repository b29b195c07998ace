"""The MindSpore backends."""
