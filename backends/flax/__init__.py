"""The Flax backends."""
