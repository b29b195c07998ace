"""The river backends."""
