"""Where cases come from: values, layouts, plans, programs, the catalogue, the generator, what was found before; and how they shrink."""
