"""Judging a kernel as it comes: conventions inferred, then judged and timed by them, with one line and one document."""
