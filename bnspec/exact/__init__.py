"""Exact quantities of a case: evaluated in quad precision, certified, and on balls where that is not enough."""
