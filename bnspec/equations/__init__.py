"""The equations, each written once: batch normalization, its derivatives, and what stands beside it."""
