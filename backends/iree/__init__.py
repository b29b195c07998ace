"""The IREE backends."""
