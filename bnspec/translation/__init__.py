"""Exact translation of a layer between the conventions of two backends."""
