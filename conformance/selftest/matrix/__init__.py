"""The kill matrix: every mutant and variant through the suite."""
