"""The timings of a run in the formats of other tools: one file a format, each a function of the run without I/O."""
