"""JAX's instruments: the time of tracing, lowering and compiling, and the device's memory.

Source: jax.monitoring's events under /jax/core/compile, which every compilation reports.
"""

from __future__ import annotations

from typing import Any, Optional

from bnspec.model.instruments import Instruments, Mover, Work
from bnspec.model.vocabulary import MemoryAction

#: The prefix of every compilation duration that JAX reports.
COMPILING = "/jax/core/compile"
#: The largest cache of a GPU on the market in 2025; JAX does not report the device's own.
LARGEST_CACHE_BYTES = 256 * 2**20


class JaxInstruments(Instruments):
    """Instruments of JAX on one device. One per process: it adds up the durations reported since its creation."""

    def __init__(self, jax: Any, place: Any) -> None:
        self.jax, self.place, self.compiling_seconds = jax, place, 0.0
        self.host = place.platform == "cpu"
        jax.monitoring.register_event_duration_secs_listener(self.record)

    def record(self, event: str, seconds: float, **_: Any) -> None:
        """Add up a reported duration."""
        if event.startswith(COMPILING):
            self.compiling_seconds += seconds

    def compile_ns(self) -> Optional[int]:
        """The time of tracing, lowering and compiling so far."""
        return round(self.compiling_seconds * 1e9)

    def cache_bytes(self) -> int:
        """For a CPU, as the system reports; for another device, the largest on the market."""
        return super().cache_bytes() if self.host else LARGEST_CACHE_BYTES

    def flush(self) -> None:
        """Write as much of the device's memory as a cache may hold."""
        if self.host:
            super().flush()
        else:
            zeros = self.jax.numpy.zeros(self.cache_bytes() // 4, "float32", device=self.place)
            self.jax.block_until_ready(zeros)

    def peak_bytes(self, call: Work) -> Optional[int]:
        """For a CPU, as the kernel counts; None for other devices, whose peak since the start of the process cannot be reset."""
        return super().peak_bytes(call) if self.host else None

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """A copy within the device's memory, or a sum of it."""
        if self.host:
            return None
        numpy, wait = self.jax.numpy, self.jax.block_until_ready
        source = numpy.arange(max(size_bytes // 4, 1), dtype="float32", device=self.place)
        call = self.jax.jit(numpy.copy if action == "copy" else numpy.sum)
        return Mover(lambda: wait(call(source)), lambda: bool((call(source) == source).all()))
