"""The tinygrad backends."""
