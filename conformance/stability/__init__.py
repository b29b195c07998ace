"""How the error of a backend grows with kappa = |mean| / std and with the count: measured, fitted, classed."""
