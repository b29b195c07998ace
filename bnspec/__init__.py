"""An executable specification of batch normalization and input normalization.

This package imports nothing heavy: a worker process that hosts one framework imports it too. ``check_backend`` is imported when it
is asked for.
"""

import importlib

__version__ = "0.2.0"
__all__ = ["__version__", "check_backend"]


def __getattr__(name):  # type: ignore[no-untyped-def]  # Python 3.8, and no other import than this
    """``check_backend``, from the harness, for tests of one's own."""
    if name == "check_backend":
        return importlib.import_module("bnspec.conformance.check_backend").check_backend
    raise AttributeError("module 'bnspec' has no attribute %r" % name)
