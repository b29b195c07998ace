"""The three commands' runs, from a request to a run directory: ``bench``, ``calibrate`` and the check of the probes."""
