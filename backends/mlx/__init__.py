"""The MLX backends."""
