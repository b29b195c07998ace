"""The worker process: runs, times and observes one adapter on one device. Python 3.8, standard library and NumPy."""
