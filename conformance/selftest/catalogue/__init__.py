"""All mutants and variants by name, and the adapters through which workers open them."""
