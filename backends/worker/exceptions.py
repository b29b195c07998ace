"""What a backend raised, as text; and whether it was the machine that had no room.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

from typing import Optional

from bnspec.errors import FULL

#: How far the causes of an exception are followed.
CAUSES = 16


class NoSpace(BaseException):
    """Raised in place of a step's result where a disk was full: that is no fault of the backend, and no ``Exception`` of its."""


def described(error: BaseException) -> str:
    """The exception as one line of at most 300 characters, whatever its ``__str__`` does. Raises NoSpace: a disk was full."""
    if full(error):
        raise NoSpace()
    return ("%s: %s" % (type(error).__name__, text_of(error)))[:300]


def text_of(error: BaseException) -> str:
    """``str(error)`` on one line; or that it raised."""
    try:
        return " ".join(str(error).split())
    except BaseException as another:  # a backend's __str__ is its code, too
        return "its text cannot be shown: __str__ raised %s" % type(another).__name__


def full(error: BaseException) -> bool:
    """Whether the error, or one that it comes from, says that a disk is full."""
    cause: Optional[BaseException] = error
    for _ in range(CAUSES):
        if cause is None:
            return False
        if isinstance(cause, OSError) and cause.errno in FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    return False
