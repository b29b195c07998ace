"""The oracles of a run's cases, kept so that every backend is compared with answers that were made once."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable

from bnspec.model.case import SMALL_ELEMENTS, Case
from bnspec.oracle.oracle import Oracle

#: Elements of the cases whose oracles are kept. An oracle of a small case holds about 0.5 KB for each element: 256 MB in all.
ELEMENTS_AT_MOST = 1 << 19
#: Of the cases that are not small few are kept, so that they do not displace the many small ones.
LARGE_AT_MOST = 16


class KeptOracles:
    """Makes the oracle of a case once, and keeps the most recently used ones. Thread-safe.

    ``processes``: how many share the memory of a run, each with oracles of its own.
    """

    def __init__(self, processes: int = 1) -> None:
        self._small = _Store(ELEMENTS_AT_MOST // processes, lambda case: case.elements)
        self._large = _Store(max(1, LARGE_AT_MOST // processes), lambda case: 1)
        self._lock = threading.Lock()

    def of(self, case: Case) -> Oracle:
        """The oracle of the case."""
        with self._lock:
            return (self._large if case.elements > SMALL_ELEMENTS else self._small).of(case)

    def kept(self, case_id: str) -> Oracle | None:
        """The oracle of the case with this id, if it is kept."""
        with self._lock:
            return self._small.kept(case_id) or self._large.kept(case_id)


class _Store:
    """Oracles by the id of their case, of which the least recently used go first. ``size``: of a case, counted against ``room``."""

    def __init__(self, room: int, size: Callable[[Case], int]) -> None:
        self._oracles: collections.OrderedDict[str, Oracle] = collections.OrderedDict()
        self._room, self._size = room, size

    def kept(self, case_id: str) -> Oracle | None:
        if case_id in self._oracles:
            self._oracles.move_to_end(case_id)
        return self._oracles.get(case_id)

    def of(self, case: Case) -> Oracle:
        oracle = self._oracles.pop(case.id, None)
        if oracle is None:
            oracle = Oracle(case)
            self._room -= self._size(case)
        self._oracles[case.id] = oracle
        while self._room < 0 and len(self._oracles) > 1:
            self._room += self._size(self._oracles.popitem(last=False)[1].case)
        return oracle
