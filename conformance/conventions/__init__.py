"""Infers a backend's conventions by experiment, and proves translations between backends by running both."""
