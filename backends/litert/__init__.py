"""The LiteRT backends."""
