"""Number systems: quad precision, balls that certify it, and representable numbers of each dtype."""
