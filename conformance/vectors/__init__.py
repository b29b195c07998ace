"""Test vectors for other languages: plans, records, and the output folder."""
