"""What can be measured on a device besides the time of the host's clock.

``Adapter.instruments`` gives one of these. The class here is that of a CPU: the host's clock, caches as the system tells
them, memory as the kernel counts it. A framework's own derives from it and overrides what it can tell: events on the device,
the time that its compiler took, the kernels that it ran, the replay of a recorded graph.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import abc
import glob
import os
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

import numpy as np

from bnspec.errors import Declined
from bnspec.model.vocabulary import MemoryAction

Call = Callable[[], Any]
#: Where Linux tells the sizes of the caches of a processor.
CACHES = "/sys/devices/system/cpu/cpu0/cache/index*/size"
#: What is taken for a last-level cache where the system tells none: no processor in common use had a larger one in 2024.
UNKNOWN_CACHE_BYTES = 512 * 2**20


class Events(abc.ABC):
    """A clock of the device itself: it times what lies between two marks in the device's queue."""

    @abc.abstractmethod
    def start(self) -> None:
        """Put the first mark into the queue."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Put the second mark into the queue."""

    @abc.abstractmethod
    def elapsed_ns(self) -> int:
        """Wait for the second mark; the nanoseconds between the two."""


class Graph(abc.ABC):
    """A recorded call that is replayed without the framework's dispatch."""

    @abc.abstractmethod
    def load(self, inputs: Sequence[Any]) -> None:
        """Copy these values into the inputs that were recorded."""

    @abc.abstractmethod
    def replay(self) -> Any:
        """Run what was recorded; returns its results, which the next replay overwrites."""


class Mover(NamedTuple):
    """``move``: copies (or reads) a buffer; its return means that it is done. ``same``: whether the copy equals its source."""

    move: Call
    same: Callable[[], bool]


class Instruments:
    """Of a CPU. Whatever a framework cannot tell stays as it is here."""

    def cache_bytes(self) -> int:
        """Size of the largest cache between the device and its memory."""
        return max([_size(path) for path in glob.glob(CACHES)] or [UNKNOWN_CACHE_BYTES])

    def flush(self) -> None:
        """Drive what calls have left out of the caches, by writing as much memory as they hold."""
        self._evict = getattr(self, "_evict", None)
        if self._evict is None:
            self._evict = np.zeros(self.cache_bytes(), np.uint8)
        self._evict += 1

    def events(self) -> Optional[Events]:
        """A clock of the device; None where the host's clock is the right one."""
        return None

    def compile_ns(self) -> Optional[int]:
        """Nanoseconds that the framework says it has spent on compiling since it was opened; None where it does not say."""
        return None

    def graph(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Graph:
        """The call recorded, for replay. Raises Declined where there is no such thing."""
        raise Declined("graphs are recorded and replayed on CUDA devices only")

    def peak_bytes(self, call: Call) -> Optional[int]:
        """Memory that a call takes beyond what was in use before it, results included; None where nobody counts it."""
        return host_peak_bytes(call)

    def kernels(self, call: Call) -> Dict[str, float]:
        """What the framework ran for the call, each with its share of the time, the weightiest first; {} where it does not say."""
        return {}

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """What copies (or reads) a buffer of the device; None where the host's own memory is meant."""
        return None


def _size(path: str) -> int:
    """The size that a file like ``32K`` holds, in bytes; 0 where it cannot be read."""
    try:
        with open(path) as file:
            text = file.read().strip()
    except OSError:
        return 0
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text or 0)


def host_peak_bytes(call: Call) -> Optional[int]:
    """The call's peak of resident memory beyond what was resident before it; None where Linux' counters are missing.

    Freed memory that the C library keeps is given back first, or the call would find it and take nothing.
    """
    try:
        give_back()
        before = _status_bytes("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # sets the peak to what is resident now
        result = call()
        peak = _status_bytes("VmHWM")
        del result
    except (OSError, KeyError):
        return None
    return max(peak - before, 0)


def give_back() -> None:
    """Have the C library return freed memory to the system, where it can."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _status_bytes(name: str) -> int:
    """A line of /proc/self/status in bytes. Raises OSError or KeyError where there is none."""
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return int(lines[name].split()[0]) * 1024


__all__ = ["Call", "Declined", "Events", "Graph", "Instruments", "Mover"]
