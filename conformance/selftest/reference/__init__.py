"""Reference implementations in NumPy, in small methods that mutants override."""
