"""Checks, one file per family of clauses."""
