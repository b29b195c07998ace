"""The pages of a run: one HTML file each, readable without scripts."""
