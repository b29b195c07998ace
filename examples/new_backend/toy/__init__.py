"""The toy framework."""
