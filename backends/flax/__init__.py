"""Flax."""
