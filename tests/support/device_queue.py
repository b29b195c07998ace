"""A device as a queue beside the host, in simulated time: what calls, waits, reads and events cost there.

The host queues work and goes on; the device does it in order, on a clock of its own that runs at another rate. Reading waits for
the queue. Reads into memory that the host's allocator has to get first take longer than into memory that was freed before.
Every duration varies, now and then by much.
"""

from __future__ import annotations

import contextlib
import random
import types
import weakref
from typing import Any

import numpy as np

from bnspec.contract import Adapter
from bnspec.model.instruments import Events, Instruments, Work
from tests.support.away import Away, AwayTensor, _There, unwrapped, wrapped

#: Nanoseconds: of queueing a call, waiting for an empty queue, reading a small tensor, and of new pages for it.
DISPATCH, WAIT, READ, PAGES = 4_000, 2_500, 9_000, 60_000
#: How much faster the device's clock runs than the host's.
RATE = 1.002


class Queue:
    """Host time and the end of what is queued, in nanoseconds."""

    def __init__(self, seed: int = 0) -> None:
        self.now, self.busy_until = 1e6, 0.0
        self.random = random.Random(seed)
        self.given: dict[int, int] = {}  # bytes: blocks of this size that were freed

    def spend(self, ns: float) -> None:
        """Host time, a little more or less, rarely a lot more."""
        self.now += ns * (1.0 + 0.1 * self.random.random() + (self.random.random() < 0.02) * 5.0)

    def launch(self, ns: float) -> None:
        """Queue work."""
        self.spend(DISPATCH)
        self.busy_until = max(self.busy_until, self.now) + ns

    def wait(self) -> None:
        """Until the queue is empty."""
        self.now = max(self.now, self.busy_until)
        self.spend(WAIT)

    def read(self, memory: np.ndarray) -> np.ndarray:
        """A copy on the host."""
        self.wait()
        size = memory.nbytes
        if self.given.get(size, 0):
            self.given[size] -= 1
        else:
            self.spend(PAGES)
        self.spend(READ)
        copy = memory.copy()
        weakref.finalize(copy, self.free, size)
        return copy

    def free(self, size: int) -> None:
        """The allocator keeps one block of a size, and gives the others back to the system."""
        self.given[size] = 1

    def time(self) -> Any:
        """In the place of the module ``time``."""

        def clock() -> int:
            self.now += 25.0
            return int(self.now)

        def sleep(seconds: float) -> None:
            self.now += seconds * 1e9

        return types.SimpleNamespace(perf_counter_ns=clock, sleep=sleep, perf_counter=lambda: clock() * 1e-9)


class QueueInstruments(Instruments):
    """Of the queue."""

    queued = True

    def __init__(self, queue: Queue, events: Events | None = None) -> None:
        self.queue, self._events = queue, events

    def drain(self) -> None:
        """A wait for everything."""
        self.queue.wait()

    def flush(self) -> None:
        """Queued work."""
        self.queue.launch(100_000)

    def events(self) -> Events | None:
        """Those that it was given."""
        return self._events

    def peak_bytes(self, call: Work) -> None:
        """Not counted."""
        call()


class Queued(Away):
    """``inner`` behind a queue: each call of a layer takes ``call_ns`` there. ``waits``: whether ``synchronize`` does."""

    def __init__(
        self, inner: Adapter, queue: Queue, call_ns: float, waits: bool = True, events: Events | None = None
    ) -> None:
        super().__init__(inner, "copied")
        self.queue, self.call_ns, self.waits = queue, call_ns, waits
        self._instruments = QueueInstruments(queue, events)

    def instruments(self) -> Instruments:
        """The queue's."""
        return self._instruments

    def tensor(self, array: np.ndarray) -> AwayTensor:
        """A queued copy."""
        self.queue.launch(3_000)
        return super().tensor(array)

    def array(self, tensor: AwayTensor) -> np.ndarray:
        """A read."""
        return self.queue.read(tensor.memory)

    def synchronize(self, result: Any) -> None:
        """Until the queue is empty; or not at all."""
        if self.waits:
            self.queue.wait()

    def layer(self, config: Any, *parameters: Any) -> Any:
        """Its calls are queued."""
        return _Queueing(self, super().layer(config, *parameters))


class _Queueing:
    """A layer whose calls are queued."""

    def __init__(self, owner: Queued, there: _There) -> None:
        self.owner, self.there = owner, there

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.there.layer, name)
        if name == "state":
            return lambda: wrapped(method())

        def call(*arguments: Any) -> Any:
            self.owner.queue.launch(self.owner.call_ns)
            return wrapped(method(*unwrapped(arguments)))

        return call


class FakeCuda:
    """torch.cuda over a queue: events and streams belong to a device, which must be the current one when they are used."""

    def __init__(self, queue: Queue, index: int = 0) -> None:
        self.queue, self.index, self.current = queue, index, 0
        self.log: list[str] = []
        self.allocated = self.peak = 100

    def get_device_properties(self, _: Any) -> Any:
        """50 MB of cache."""
        return types.SimpleNamespace(L2_cache_size=50 * 2**20)

    @contextlib.contextmanager
    def device(self, place: Any) -> Any:
        """The current device."""
        before, self.current = self.current, place.index
        yield
        self.current = before

    def _sleep(self, cycles: int) -> None:
        """A kernel that spins for so many nanoseconds here."""
        self._right_device()
        self.queue.launch(float(cycles))

    def synchronize(self, place: Any) -> None:
        """Until the queue is empty."""
        assert place.index == self.index
        self.log.append("drain")
        self.queue.wait()

    def Event(self, enable_timing: bool) -> Any:  # noqa: N802  # PyTorch's name
        """What the device's clock shows when it gets there."""
        assert enable_timing
        self._right_device()
        cuda, queue = self, self.queue

        class Event:
            at = 0.0

            def record(self) -> None:
                cuda._right_device()
                queue.spend(500)
                self.at = max(queue.busy_until, queue.now)

            def query(self) -> bool:
                return queue.now >= self.at

            def synchronize(self) -> None:
                queue.now = max(queue.now, self.at)

            def elapsed_time(self, other: Event) -> float:
                return (other.at - self.at) * RATE * 1e-6

        return Event()

    def memory_allocated(self, _: Any) -> int:
        """Now."""
        return self.allocated

    def reset_peak_memory_stats(self, _: Any) -> None:
        """The peak is what is there now."""
        self.peak = self.allocated

    def max_memory_allocated(self, _: Any) -> int:
        """At most."""
        return self.peak

    def Stream(self, device: Any) -> Any:  # noqa: N802
        """A stream that waits for nothing."""
        assert device.index == self.index
        return types.SimpleNamespace(wait_stream=lambda _: self.log.append("wait"), device=device)

    def current_stream(self) -> Any:
        """Of the current device."""
        self._right_device()
        return types.SimpleNamespace(wait_stream=lambda _: self.log.append("wait"))

    def stream(self, _: Any) -> Any:
        """As a context."""
        return contextlib.nullcontext()

    def CUDAGraph(self) -> Any:  # noqa: N802
        """Counts replays."""
        return types.SimpleNamespace(replay=lambda: self.log.append("replay"))

    def graph(self, _: Any, stream: Any) -> Any:
        """As a context, on the stream that the warm-up ran on."""
        assert stream.device.index == self.index
        self._right_device()
        self.log.append("capture")
        return contextlib.nullcontext()

    def _right_device(self) -> None:
        assert self.current == self.index, "an event or stream of another device than the chosen one"
