"""A-priori rounding-error bounds, element by element."""
