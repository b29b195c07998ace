"""Translations between any two backends: the record, and the page."""
