"""The Haiku backends."""
