"""The judge: one observation, every clause that can use it."""
