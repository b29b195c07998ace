"""vaex: its input normalization."""
