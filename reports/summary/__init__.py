"""What the records of a run add up to. No I/O, no drawing."""
