"""A backend's conventions, inferred by experiment; and translations between backends, proved by running both."""
