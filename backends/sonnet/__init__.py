"""The Sonnet backends."""
