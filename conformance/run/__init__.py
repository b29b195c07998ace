"""A run: the cases of a target observed, judged, shrunk, and written to a run directory."""
