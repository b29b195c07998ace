"""A correct NumPy layer in small pieces, each of which a mutant can replace."""
