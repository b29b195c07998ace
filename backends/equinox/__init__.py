"""The Equinox backends."""
