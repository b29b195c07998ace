"""An executable specification of batch normalization and input normalization.

This package imports nothing heavy: a worker process that hosts one framework imports it too.
"""

__version__ = "0.2.0"
