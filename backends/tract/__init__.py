"""The tract backends."""
