"""Number systems: quad precision, balls that certify it, and which numbers a dtype holds."""
