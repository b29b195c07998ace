"""The JAX backends."""
