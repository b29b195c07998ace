"""Several releases of a package, side by side in one run."""
