"""Red zones: bytes before and after every array that a layer is handed, which no call may read or write.

They are filled with 0xFF, which is NaN in every floating dtype: what was read there shows in the results, and what was written there
shows in the zone.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import dataclasses
from typing import List, Tuple

import numpy as np

#: Bytes of a zone, and what they are filled with.
SIZE, FILL = 64, 0xFF
_UNTOUCHED = bytes([FILL]) * SIZE


@dataclasses.dataclass(frozen=True)
class Fenced:
    """Memory between two red zones.

    Attributes:
        room: all bytes; start, stop: those between the zones; names: of the arrays in them.
    """

    room: np.ndarray
    start: int
    stop: int
    names: Tuple[str, ...] = ()

    @property
    def memory(self) -> np.ndarray:
        """The bytes between the zones."""
        return self.room[self.start : self.stop]

    def zones(self) -> Tuple[Tuple[str, np.ndarray], ...]:
        """The two zones by their place."""
        before, after = self.room[self.start - SIZE : self.start], self.room[self.stop : self.stop + SIZE]
        return ("before", before), ("after", after)

    def touched(self) -> List[str]:
        """The zones that were written to, as "writes after x"; they are filled again."""
        found = []
        for place, zone in self.zones():
            if zone.tobytes() != _UNTOUCHED:
                found += ["writes %s %s" % (place, name) for name in self.names[:1]]
                zone[:] = FILL
        return found


def aligned(data: bytes, alignment: int = 64) -> np.ndarray:
    """The data in memory of their own without zones, the first byte aligned as framework allocators give it."""
    room = np.empty(len(data) + alignment, np.uint8)
    start = -int(room.__array_interface__["data"][0]) % alignment
    memory = room[start : start + len(data)]
    memory[:] = np.frombuffer(data, np.uint8)
    return memory


def fenced(data: bytes, names: Tuple[str, ...] = (), alignment: int = 64) -> Fenced:
    """The data in memory of their own between red zones, the first byte aligned as framework allocators give it."""
    room = np.full(len(data) + alignment + 2 * SIZE, FILL, np.uint8)
    start = SIZE + -(int(room.__array_interface__["data"][0]) + SIZE) % alignment
    made = Fenced(room, start, start + len(data), names)
    made.memory[:] = np.frombuffer(data, np.uint8)
    return made
