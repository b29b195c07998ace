"""mlxtend: its input normalization."""
