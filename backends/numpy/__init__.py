"""NumPy: the specification itself, evaluated in the working precision."""
