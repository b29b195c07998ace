"""The run directory: its records, how they are encoded and validated, and the store that writes and reads them."""
