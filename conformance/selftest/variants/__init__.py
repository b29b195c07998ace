"""Variants: unusual but correct implementations, which must never be accused."""
