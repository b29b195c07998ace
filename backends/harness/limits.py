"""The limits of a worker: time, memory, what it prints, what it sends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

GIB, MIB = 2**30, 2**20


def usual_memory_gib() -> float:
    """Half of the machine's memory, at least 1; 64 where the system does not say how much there is."""
    try:
        return max(1.0, round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB / 2, 1))
    except (AttributeError, OSError, ValueError):
        return 64.0


@dataclass(frozen=True)
class Limits:
    """The limits of each worker. What is beyond one ends the process, and is an observation of its case.

    Attributes:
        open_seconds: to open a framework; case_seconds: for one case. A case is small: a worker silent for so long hangs.
        memory_gib: resident memory. Address space would not do: frameworks map many times what they use.
        output_mib: what it prints in its life, of which the last lines are kept; frame_mib: one reply, with all its arrays.
    """

    open_seconds: float = 180.0
    case_seconds: float = 60.0
    memory_gib: float = field(default_factory=usual_memory_gib)
    output_mib: float = 64.0
    frame_mib: float = 1024.0

    @classmethod
    def of(cls, given: Mapping[str, float | None]) -> Limits:
        """The usual limits, but for those that are given."""
        return cls(**{name: value for name, value in given.items() if value is not None})

    @property
    def memory_bytes(self) -> int:
        """Of resident memory."""
        return int(self.memory_gib * GIB)

    @property
    def output_bytes(self) -> int:
        """Of all that it prints."""
        return int(self.output_mib * MIB)

    @property
    def frame_bytes(self) -> int:
        """Of one reply."""
        return int(self.frame_mib * MIB)

    def to_json(self) -> dict[str, float]:
        """JSON-ready data, for a manifest."""
        return asdict(self)
