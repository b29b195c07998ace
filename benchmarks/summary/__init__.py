"""What the cells of a run say together: comparisons with the baseline, and what normalization costs a whole model."""
