"""An executable specification of batch normalization and input normalization.

This package imports nothing heavy: a worker process that hosts one framework imports it too. ``check_backend`` and ``ratios`` are
imported when they are asked for.
"""

import importlib

__version__ = "0.2.0"
__all__ = ["__version__", "check_backend", "ratios"]

#: Where the functions for tests of one's own are.
_FUNCTIONS = {"check_backend": "bnspec.conformance.check_backend", "ratios": "bnspec.oracle.results"}


def __getattr__(name):  # type: ignore[no-untyped-def]  # Python 3.8, and no other import than this
    """A function for tests of one's own."""
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError("module 'bnspec' has no attribute %r" % name)
