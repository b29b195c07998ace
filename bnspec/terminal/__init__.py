"""The terminal: the consoles, what is printed on them, and the progress of a run."""
