"""The NumPy backend: the specification itself, evaluated in the working precision."""
