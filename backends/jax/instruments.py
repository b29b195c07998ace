"""JAX's instruments: the time of tracing, lowering and compiling, and the device's memory. It exposes no clock of the device.

Source: jax.monitoring's events under /jax/core/compile, which every compilation reports; memory analysis of compiled programs.
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
        self.queued = not self.host
        self.nothing: Any = None
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

    def drain(self) -> None:
        """Wait for a small computation: a device runs what is queued in order."""
        if self.host:
            return
        if self.nothing is None:
            add = self.jax.jit(lambda x: x + 1)
            self.nothing = add, self.jax.device_put(0, self.place)
        add, zero = self.nothing
        self.jax.block_until_ready(add(zero))

    def uuid(self) -> Optional[str]:
        """JAX does not say it: an NVIDIA GPU is known where it is the only one."""
        return "" if not self.host and "NVIDIA" in str(self.place.device_kind) else None

    def memory_bytes(self) -> Optional[int]:
        """What the allocator may still give out, as JAX reports it."""
        stats = None if self.host else self.place.memory_stats()
        if not stats or "bytes_limit" not in stats:
            return None
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))

    def flush(self) -> None:
        """Write as much of the device's memory as a cache may hold."""
        if self.host:
            super().flush()
        else:
            zeros = self.jax.numpy.zeros(self.cache_bytes() // 4, "float32", device=self.place)
            self.jax.block_until_ready(zeros)

    def peak_bytes(self, call: Work) -> Optional[int]:
        """For a CPU, as the kernel counts. For another device, whose peak since the start of the process cannot be reset, what
        the compiler has planned for the call's program: temporaries and results. None if the call runs several programs."""
        if self.host:
            return super().peak_bytes(call)
        try:
            client = self.place.client
            self.jax.clear_caches()  # so that the call's program is compiled anew, and known from the others
            before = {id(e) for e in client.live_executables()}
            call()
            made = [e.get_compiled_memory_stats() for e in client.live_executables() if id(e) not in before]
        except (AttributeError, RuntimeError):  # an older release, or a device whose compiler reports nothing
            return None
        if len(made) != 1:
            return None
        return int(made[0].temp_size_in_bytes + made[0].output_size_in_bytes - made[0].alias_size_in_bytes)

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """A copy within the device's memory, or a sum of it."""
        if self.host:
            return None
        numpy = self.jax.numpy
        source = numpy.full(max(size_bytes // 4, 1), 3.0, dtype="float32", device=self.place)
        call = self.jax.jit(numpy.copy if action == "copy" else numpy.sum)
        return Mover(lambda: call(source), lambda: bool((call(source) == source).all()), self.drain)
