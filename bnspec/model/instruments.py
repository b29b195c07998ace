"""Measurements on a device beyond the host's clock: device events, caches, memory, compile time, kernels.

``Adapter.instruments`` returns an ``Instruments``. The base class covers a CPU: the host's clock, cache sizes reported by the
system, memory counted by the kernel. A framework's subclass overrides what it can measure: events on the device, compile
time, executed kernels, the replay of a recorded graph.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import abc
import glob
import os
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from bnspec.errors import Declined
from bnspec.model import nvml
from bnspec.model.vocabulary import MemoryAction

Work = Callable[[], Any]
#: Where Linux reports the cache sizes of a processor.
CACHES = "/sys/devices/system/cpu/cpu0/cache/index*/size"
#: Assumed last-level cache where the system reports none: no processor in common use had a larger one in 2024.
UNKNOWN_CACHE_BYTES = 512 * 2**20


class Events(abc.ABC):
    """The device's own clock.

    Attributes:
        resolution_ns: the step of the clock, as its maker states it.
    """

    resolution_ns = 0.0

    @abc.abstractmethod
    def elapsed_ns(self, dispatch: Work) -> Optional[int]:
        """The device's time for what a call of ``dispatch`` queues, after waiting for it.

        A kernel holds the queue meanwhile, so that the device waits for nothing between the two events. None where that did
        not succeed: the first event had passed before ``dispatch`` returned, and the host's time may be in between.
        """


class Graph(abc.ABC):
    """A recorded call that is replayed without the framework's dispatch."""

    @abc.abstractmethod
    def load(self, inputs: Sequence[Any]) -> None:
        """Copy these values into the recorded inputs."""

    @abc.abstractmethod
    def replay(self) -> Any:
        """Replay the recorded call; the next replay overwrites the returned results."""


class Mover(NamedTuple):
    """``move``: queues a copy (or a read) of a buffer; ``wait``: returns when the moves queued so far are done. ``same``: whether
    the copy equals its source."""

    move: Work
    same: Callable[[], bool]
    wait: Callable[[], None]


class Instruments:
    """Instruments of a CPU, and the defaults for every framework.

    Attributes:
        queued: whether calls are queued and return before their results are there.
        warmed: whether the device has been under load in this process.
    """

    queued = False
    warmed = False

    def drain(self) -> None:
        """Return when nothing is left in the device's queue, whatever it is of."""

    def cache_bytes(self) -> int:
        """Size of the largest cache between the device and its memory."""
        return max([_size(path) for path in glob.glob(CACHES)] or [UNKNOWN_CACHE_BYTES])

    def flush(self) -> None:
        """Evict the caches by writing as much memory as they hold."""
        self._evict = getattr(self, "_evict", None)
        if self._evict is None:
            self._evict = np.zeros(self.cache_bytes(), np.uint8)
        self._evict += 1

    def events(self) -> Optional[Events]:
        """The device's clock; None if it has none."""
        return None

    def compile_ns(self) -> Optional[int]:
        """Nanoseconds the framework reports it has spent compiling since it was opened; None if it does not report them."""
        return None

    def graph(self, function: Callable[..., Any], inputs: Sequence[Any]) -> Graph:
        """The call, recorded for replay. Raises Declined: the framework cannot record calls."""
        raise Declined("graphs are recorded and replayed on CUDA devices only")

    def peak_bytes(self, call: Work) -> Optional[int]:
        """Peak memory of a call beyond the memory in use before it, results included; None if it is not counted."""
        return host_peak_bytes(call)

    def kernels(self, call: Work) -> Dict[str, float]:
        """The kernels executed by the call with their shares of the time, largest first; {} if the framework does not report them."""
        return {}

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """A ``Mover`` for a buffer of the device; None if the device uses the host's memory."""
        return None

    def uuid(self) -> Optional[str]:
        """The GPU's UUID, by which its maker's library knows it; "" where the framework does not say, None for no GPU of theirs."""
        return None

    def state(self) -> nvml.State:
        """Clocks, temperature, power and throttling of the GPU now, as far as its maker's library says."""
        library, handle = self._maker()
        return {} if library is None else library.state(handle)

    def facts(self) -> Dict[str, str]:
        """What the GPU is, as far as its maker's library says."""
        library, handle = self._maker()
        return {} if library is None else library.facts(handle)

    def _maker(self) -> Tuple[Optional[nvml.Nvml], Any]:
        """The library and the GPU's handle in it; None for both where it does not know the GPU."""
        uuid = self.uuid()
        library = None if uuid is None else nvml.open_nvml()
        handle = None if library is None else library.handle(uuid or "")
        return (None, None) if handle is None else (library, handle)

    def memory_bytes(self) -> Optional[int]:
        """Size of the device's memory; None if unknown."""
        return None


def _size(path: str) -> int:
    """The size in bytes given by a file such as ``32K``; 0 if it cannot be read."""
    try:
        with open(path) as file:
            text = file.read().strip()
    except OSError:
        return 0
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text or 0)


def host_peak_bytes(call: Work) -> Optional[int]:
    """The call's peak resident memory beyond the memory resident before it; None if Linux's counters are missing.

    First returns freed memory that the C library holds to the system; otherwise the call would reuse it and show no growth.
    """
    try:
        give_back()
        before = _status_bytes("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # resets the peak to the current resident size
        result = call()
        peak = _status_bytes("VmHWM")
        del result
    except (OSError, KeyError):
        return None
    return max(peak - before, 0)


def give_back() -> None:
    """Have the C library return freed memory to the system, if it can."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


def _status_bytes(name: str) -> int:
    """A line of /proc/self/status in bytes. Raises OSError or KeyError: the line or file is missing."""
    with open("/proc/self/status") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line)
    return int(lines[name].split()[0]) * 1024


__all__ = ["Work", "Declined", "Events", "Graph", "Instruments", "Mover"]
