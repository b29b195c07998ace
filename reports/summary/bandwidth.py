"""The roof over a timing: the least time in which the memory of this machine, in this run, can move what the pass must.

    least time = copy(min(read, written)) + read(what is read beyond that)

The bandwidths come from buffers as large as the workload's own (cached data has another roof than data in memory; where a copy
begins to bypass the caches there is a step), measured in the same round as the process (a shared machine has better and worse
hours), and are those of the better of one thread and of all. Between two sizes the logarithm of the bandwidth is interpolated
over that of the size.

Known limitations: what a pass keeps in a cache between reading twice is not seen; writes are counted once, whether or not the
processor reads a line before it is overwritten (write-allocate).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from bnspec.reports.run.records import Roof, Timing


@dataclasses.dataclass(frozen=True)
class Curve:
    """Bandwidth against size: the better of the curves it was made from at each size.

    Attributes:
        sizes_bytes: of what is read, ascending; bytes_per_second: at each.
    """

    sizes_bytes: tuple[int, ...]
    bytes_per_second: tuple[float, ...]

    def at(self, size_bytes: float) -> float:
        """Bytes per second at a size; beyond the measured ones, that of the nearest."""
        sizes = self.sizes_bytes
        if size_bytes <= sizes[0]:
            return self.bytes_per_second[0]
        for i in range(1, len(sizes)):
            if size_bytes <= sizes[i]:
                low, high = self.bytes_per_second[i - 1], self.bytes_per_second[i]
                share = math.log(size_bytes / sizes[i - 1]) / math.log(sizes[i] / sizes[i - 1])
                return low * (high / low) ** share
        return self.bytes_per_second[-1]


def best(roofs: Sequence[Roof]) -> Curve:
    """The highest bandwidth at each size that any of the roofs, at least one, has."""
    found: dict[int, float] = {}
    for roof in roofs:
        for size, speed in zip(roof.sizes_bytes, roof.bytes_per_second, strict=True):
            found[size] = max(speed, found.get(size, 0.0))
    sizes = tuple(sorted(found))
    return Curve(sizes, tuple(found[s] for s in sizes))


class Ceiling:
    """The roofs of a run, by device and number of threads."""

    def __init__(self, roofs: Sequence[Roof]) -> None:
        self.roofs = tuple(roofs)

    def curve(self, device: str, action: str, threads: int | None = None, process: int | None = None) -> Curve | None:
        """The best of an action ("copy" or "read") by at most so many threads (None: by any); None where not measured.

        ``process``: the round that counts; where it has none, and for None, the best of all rounds.
        """
        fitting = [
            r
            for r in self.roofs
            if r.device == device and r.action == action and (threads is None or r.threads <= max(threads, 1))
        ]
        own = [r for r in fitting if r.process == process]
        return best(own or fitting) if fitting else None

    def least_ns(self, timing: Timing) -> float | None:
        """The least time, in nanoseconds, of what was timed; None where its traffic or its device's roof is not known."""
        if timing.moved_bytes is None or not any(timing.moved_bytes):
            return None
        threads = timing.conditions.get("threads")
        most = threads if isinstance(threads, int) else None
        copy, read = (self.curve(timing.device, a, most, timing.process) for a in ("copy", "read"))
        if copy is None or read is None:
            return None
        reads, writes = timing.moved_bytes
        both, alone = min(reads, writes), abs(reads - writes)
        seconds = 2 * both / copy.at(both) if both else 0.0
        seconds += alone / read.at(alone) if alone else 0.0
        return seconds * 1e9
