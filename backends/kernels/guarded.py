"""Memory between red zones and, where the system can, between pages that nothing may touch: a long overrun ends the process there.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from bnspec.model.buffers import extent

PAGE = mmap.PAGESIZE
#: Least bytes of a red zone, and the alignment of what is between them: an overrun by 64 elements of any dtype is named, not fatal.
ZONE, ALIGNMENT = 64 * 16, 64
#: What zones and results hold before a call: NaN in every floating dtype, and an ordinary number.
NAN, FINITE = 0xFF, 0x40
PLACES = ("before", "after")


class Guarded:
    """One array's memory.

    Args:
        array: whose values and strides it gets; packed: in C order instead.
        fills: the bytes in the zones before and after it.

    Attributes:
        array: over the guarded memory. stale: what it was filled with where it holds no values; None where it does.
    """

    def __init__(self, array: np.ndarray, packed: bool, fills: Tuple[int, int]) -> None:
        source = np.ascontiguousarray(array) if packed else array
        low, high = extent(source)
        address = int(source.__array_interface__["data"][0])
        size = high - low
        pages = -(-(size + 2 * ZONE + ALIGNMENT) // PAGE)
        self.stale: Optional[int] = None
        self.map = mmap.mmap(-1, (pages + 2) * PAGE)
        room = np.frombuffer(self.map, np.uint8)
        inner = room[PAGE : (pages + 1) * PAGE]
        # as near to the last page as the alignment lets it: most overruns go on behind an array
        start = (inner.size - ZONE - size) // ALIGNMENT * ALIGNMENT
        self.zones = {"before": inner[:start], "after": inner[start + size :]}
        self.fills = dict(zip(PLACES, fills))
        for place, zone in self.zones.items():
            zone[:] = self.fills[place]
        block = inner[start : start + size]
        self.array = (
            np.ndarray(source.shape, source.dtype, block, address - low, source.strides) if size else source.copy()
        )
        if size:
            self.array[...] = source
        protect(room, 0, PAGE)
        protect(room, (pages + 1) * PAGE, PAGE)

    def touched(self) -> List[str]:
        """The places of the zones that were written to."""
        return [place for place, zone in self.zones.items() if not (zone == self.fills[place]).all()]


def protect(room: np.ndarray, offset: int, size: int) -> None:
    """Forbid every access to these bytes; without effect where the system has no mprotect."""
    mprotect: Any = _libc().get("mprotect")
    if mprotect is not None:
        begin = int(room.__array_interface__["data"][0]) + offset
        mprotect(ctypes.c_void_p(begin), ctypes.c_size_t(size), 0)


def _libc(found: Dict[str, Any] = {}) -> Dict[str, Any]:  # noqa: B006  # looked up once
    if not found:
        try:
            found["mprotect"] = ctypes.CDLL(None).mprotect
        except (OSError, AttributeError, TypeError):  # another system
            found["mprotect"] = None
    return found
