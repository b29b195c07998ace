"""TensorFlow's instruments: the memory of a GPU. It exposes no events or graphs, so its clock is the host's.

Source: tf.config.experimental.get_memory_info and reset_memory_stats.
"""

from __future__ import annotations

from typing import Any, Optional

from bnspec.model.instruments import Instruments, Mover, Work
from bnspec.model.vocabulary import MemoryAction

#: The largest cache of a GPU on the market in 2025; TensorFlow does not report the device's own.
LARGEST_CACHE_BYTES = 256 * 2**20


class TensorflowInstruments(Instruments):
    """Instruments of TensorFlow on one device.

    Args:
        place: TensorFlow's name of the device, e.g. "/GPU:0"; wait: waits for all work queued on the device.
    """

    def __init__(self, tf: Any, place: str, wait: Any) -> None:
        self.tf, self.place, self.wait, self.host = tf, place, wait, place.startswith("/CPU")
        self.queued = not self.host

    def drain(self) -> None:
        """Wait for all devices."""
        if not self.host:
            self.wait(None)

    def uuid(self) -> Optional[str]:
        """TensorFlow does not say it: an NVIDIA GPU is known where it is the only one."""
        return None if self.host else ""

    def cache_bytes(self) -> int:
        """For a CPU, as the system reports; for another device, the largest on the market."""
        return super().cache_bytes() if self.host else LARGEST_CACHE_BYTES

    def flush(self) -> None:
        """Write as much of the device's memory as a cache may hold."""
        if self.host:
            super().flush()
            return
        with self.tf.device(self.place):
            self.wait(self.tf.zeros(self.cache_bytes() // 4))

    def peak_bytes(self, call: Work) -> Optional[int]:
        """The device allocator's peak beyond its level before the call."""
        if self.host:
            return super().peak_bytes(call)
        memory, device = self.tf.config.experimental, self.place.strip("/")
        memory.reset_memory_stats(device)
        before = int(memory.get_memory_info(device)["current"])
        result = call()
        peak = int(memory.get_memory_info(device)["peak"])
        del result
        return max(peak - before, 0)

    def mover(self, action: MemoryAction, size_bytes: int) -> Optional[Mover]:
        """A pass that reads and writes the device's memory, or a sum of it."""
        if self.host:
            return None
        with self.tf.device(self.place):
            source = self.tf.fill([max(size_bytes // 4, 1)], 3.0)

        def move() -> Any:
            with self.tf.device(self.place):
                return self.tf.negative(source) if action == "copy" else self.tf.reduce_sum(source)

        return Mover(move, lambda: bool(self.tf.reduce_all(move() == -source)), self.drain)
