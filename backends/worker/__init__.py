"""The worker process: one adapter on one device, run, timed and observed. Python 3.8, standard library and NumPy."""
