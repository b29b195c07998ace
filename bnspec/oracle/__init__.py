"""The oracle: exact values with their bounds, for every call of a case."""
