"""The equations, each written once: batch normalization, its derivatives, and related layers."""
