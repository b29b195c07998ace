"""Generates and shrinks cases: values, layouts, plans, programs, the catalogue, the generator, the regression corpus."""
