"""Variants: unusual but correct implementations, which must conform to every clause."""
