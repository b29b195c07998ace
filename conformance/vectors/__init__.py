"""Test vectors for other languages: which cases, their records, and the folder that they are written to."""
