"""ray: the input normalization of Ray Data."""
