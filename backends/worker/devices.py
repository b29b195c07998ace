"""Is the device still there? After an exception off the CPU it may have lost its context: then whatever follows would fail, too,
and none of it would be the backend's.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import os
from typing import Any, Optional

import numpy as np

from bnspec.backends.worker.exceptions import CAUSES, text_of

#: Set where a worker is opened to list the devices, and so must not hide any of them from its framework.
LISTING = "BNSPEC_LISTS_DEVICES"
#: Names of exceptions and words in messages by which frameworks say that the device's memory is full.
FULL_MEMORY_NAMES = ("OutOfMemoryError", "ResourceExhaustedError")
FULL_MEMORY_WORDS = ("RESOURCE_EXHAUSTED", "out of memory", "_STATUS_ALLOC_FAILED")


class DeviceBroken(BaseException):
    """Raised in place of a step's result where the device computes no more: the process ends, and that is its answer."""


class DeviceFull(BaseException):
    """Raised in place of a step's result where the device's memory is full: that may be the work of another process."""


def hides_devices(device: str) -> bool:
    """Whether a framework that opens ``device`` should see the CPU only."""
    return device.partition(":")[0] == "cpu" and not os.environ.get(LISTING)


def examine(adapter: Any, error: BaseException) -> None:
    """Look after the device once a call on it has raised. Nothing to look after on the CPU.

    Raises DeviceFull: the error says that its memory is full. DeviceBroken: a small operation and a wait fail.
    """
    if str(getattr(adapter, "device", "cpu")).partition(":")[0] == "cpu":
        return
    if _is_full(error):
        raise DeviceFull(text_of(error)[:300])
    try:
        tensor = adapter.tensor(np.arange(4, dtype=np.float32))
        doubled = tensor + tensor if hasattr(tensor, "__add__") else tensor
        adapter.synchronize((doubled,))
        adapter.instruments().drain()
        right = np.asarray(adapter.array(tensor)).tolist() == [0.0, 1.0, 2.0, 3.0]
        reason = "" if right else "a tensor that was moved there and back has other values"
    except Exception as another:  # whatever it is, the device does not work
        reason = "%s: %s" % (type(another).__name__, text_of(another))
    if reason:
        first = "%s: %s" % (type(error).__name__, text_of(error))
        raise DeviceBroken("%s computes no more (%s), after %s" % (adapter.device, reason[:200], first[:300]))


def _is_full(error: BaseException) -> bool:
    cause: Optional[BaseException] = error
    for _ in range(CAUSES):
        if cause is None:
            return False
        if type(cause).__name__ in FULL_MEMORY_NAMES or any(words in text_of(cause) for words in FULL_MEMORY_WORDS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
