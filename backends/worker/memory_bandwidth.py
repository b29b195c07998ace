"""Memory bandwidth of this machine: copying and reading buffers of many sizes, with one thread and with one per processor.

The C library does the work (``memmove``, ``memchr``) with the widest instructions that it has for this processor; ctypes
releases the interpreter's lock meanwhile. Threads work on shares of the buffer in parallel, over and over, so that their start
does not count. On a device other than the CPU the framework's own copy is timed.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import threading
import time
from typing import Any, Callable, List, Mapping, Optional, Tuple

import numpy as np

from bnspec.backends.worker.timed_loop import TimedCall, block_size, clock_ns, samples_of
from bnspec.contract import Adapter
from bnspec.model.instruments import Mover
from bnspec.model.timing import Bandwidth, BandwidthCurve, PlainCopy
from bnspec.model.vocabulary import MEMORY_ACTIONS, MemoryAction

#: Bytes read; a copy writes as many again. A device's memory is larger and faster: its curve goes on to 1 GiB, where the sizes
#: beyond the last-level cache are, as far as its memory holds source and target with half of it to spare.
SIZES = tuple(2**k for k in range(14, 28))
DEVICE_SIZES = tuple(2**k for k in range(14, 31, 2))
DEVICE_SHARE = 4
#: Length of a batch and its fewest moves; the second fastest of so many batches counts: other work on the machine only slows,
#: and the very fastest may be an error of the clock.
BATCH_SECONDS, LEAST_MOVES, BATCHES = 0.002, 3, 7
#: Source and target start at different offsets of a page: otherwise the processor takes stores for the next loads (4K aliasing).
ASIDE = 2112
LIBC = ctypes.CDLL(None) if os.name == "posix" else None


def roofs(adapter: Adapter, options: Mapping[str, Any]) -> Bandwidth:
    """The memory bandwidth of the adapter's device.

    Args:
        options: "sizes" in bytes, besides those of the curves; "copies": sizes in bytes of plain copies, which are timed as any call is;
            "seconds" for each of these.
    """
    begun = time.perf_counter_ns()
    wanted = [int(s) for s in options.get("copies", ())]
    sizes = sorted({*_grid(adapter), *(int(s) for s in options.get("sizes", ())), *wanted})
    curves: List[BandwidthCurve] = []
    copies: List[PlainCopy] = []
    for action in MEMORY_ACTIONS:
        for count in sorted({1, cores()}) if _on_host(adapter) else [1]:
            speeds = []
            for size in sizes:
                mover = _mover(adapter, action, size, count)
                seconds = _seconds(mover)
                if action == "copy" and count == 1 and size in wanted:
                    copies.append(_copy(mover, size, float(options.get("seconds", 0.1))))
                    seconds = min(seconds, _seconds(mover))  # the machine's load may have changed meanwhile
                speeds.append(size * (2 if action == "copy" else 1) / seconds)
            curves.append(BandwidthCurve(action, count, tuple(sizes), tuple(speeds)))
    return Bandwidth(tuple(curves), tuple(copies), time.perf_counter_ns() - begun)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _grid(adapter: Adapter) -> Tuple[int, ...]:
    """The sizes of the curves: on a device none that would take more than half of its free memory for source and target."""
    if _on_host(adapter):
        return SIZES
    free = adapter.instruments().memory_bytes()
    return tuple(size for size in DEVICE_SIZES if free is None or size * DEVICE_SHARE <= free)


def _on_host(adapter: Adapter) -> bool:
    return adapter.instruments().mover("copy", 1) is None


class Whole:
    """A buffer that the device's framework moves as a whole: a batch of moves is queued, and waited for once."""

    def __init__(self, mover: Mover) -> None:
        self.queue, self.same, self.wait = mover

    def move(self) -> None:
        """One move, waited for."""
        self.queue()
        self.wait()

    def batch(self, times: int) -> float:
        """Seconds for this many moves."""
        queue, begun = self.queue, time.perf_counter()
        for _ in range(times):
            queue()
        self.wait()
        return time.perf_counter() - begun


def _mover(adapter: Adapter, action: MemoryAction, size: int, count: int) -> Any:
    """A mover for a buffer of this size with this many threads."""
    mover = adapter.instruments().mover(action, size)
    return Shares(action, size, count) if mover is None else Whole(mover)


def _seconds(mover: Any) -> float:
    """Seconds for one move."""
    mover.batch(LEAST_MOVES)  # the buffers' pages are mapped from here on
    times = max(int(BATCH_SECONDS / max(mover.batch(1), 1e-7)), LEAST_MOVES)
    return sorted(mover.batch(times) / times for _ in range(BATCHES))[1]


def _repeat(move: Callable[[], Any], times: int) -> float:
    """Seconds for this many calls."""
    begun = time.perf_counter()
    for _ in range(times):
        move()
    return time.perf_counter() - begun


class Shares:
    """A buffer in shares, each copied or read by a thread of its own."""

    def __init__(self, action: MemoryAction, size: int, count: int) -> None:
        source, room = np.arange(size, dtype=np.uint8) | 1, np.ones(size + ASIDE, np.uint8)
        target = room[ASIDE:]
        shares = [slice(size * i // count, size * (i + 1) // count) for i in range(count)]
        self._parts = [_move(action, source[share], target[share]) for share in shares]
        self._kept = source, target
        self.move = self._parts[0]

    def same(self) -> bool:
        """Whether the copy equals its source."""
        return bool((self._kept[0] == self._kept[1]).all())

    def batch(self, times: int) -> float:
        """Seconds until every share has been moved this many times."""
        if len(self._parts) == 1:
            return _repeat(self._parts[0], times)
        gate = threading.Barrier(len(self._parts))
        spans: List[Tuple[float, float]] = []

        def work(move: Callable[[], Any], processor: Optional[int]) -> None:
            if processor is not None:
                os.sched_setaffinity(
                    threading.get_native_id(), {processor}
                )  # otherwise two threads may share a processor at first
            gate.wait()
            begun = time.perf_counter()
            for _ in range(times):
                move()
            spans.append((begun, time.perf_counter()))

        places: List[Optional[int]] = [None] * len(self._parts)
        if hasattr(os, "sched_setaffinity"):
            places[:] = sorted(os.sched_getaffinity(0))[: len(places)]
        workers = [threading.Thread(target=work, args=pair) for pair in zip(self._parts, places)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return max(end for _, end in spans) - min(begun for begun, _ in spans)


def _move(action: MemoryAction, source: np.ndarray, target: np.ndarray) -> Callable[[], Any]:
    """One thread's share of the action."""
    if LIBC is None:
        return (lambda: np.copyto(target, source)) if action == "copy" else source.max
    size, begin, to = (
        ctypes.c_size_t(source.nbytes),
        ctypes.c_void_p(source.ctypes.data),
        ctypes.c_void_p(target.ctypes.data),
    )
    if action == "copy":
        return lambda: LIBC.memmove(to, begin, size)
    nowhere = ctypes.c_int(0)  # the buffer does not contain it
    return lambda: LIBC.memchr(begin, nowhere, size)


def _copy(mover: Any, size: int, seconds: float) -> PlainCopy:
    """The same copy as in the curve, by one thread, timed by the loop that times layers."""
    call = TimedCall(lambda _: mover.move(), lambda _: None, [(None,)])
    warm, _, _ = samples_of(call, 1, seconds / 10, 3, 100)
    samples, _, _ = samples_of(call, block_size(statistics.median(warm), clock_ns(), 1), seconds, 5, 1000)
    return PlainCopy(size, tuple(round(s) for s in samples), mover.same())
