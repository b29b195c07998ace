"""tslearn: its input normalization."""
