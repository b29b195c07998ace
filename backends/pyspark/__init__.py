"""pyspark: its input normalization."""
