"""The cases that a target has yet to run, shared by the workers of the target."""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection

from bnspec.conformance.run.case_pool import CasePool
from bnspec.conformance.run.shard import Shard
from bnspec.model.case import Case


class WorkQueue:
    """The cases that are left: the target's own worker takes them from the front, one that assists from the back.

    ``shard``: the part of them that is run; all by default.
    """

    def __init__(self, cases: CasePool, shard: Shard | None = None) -> None:
        self._cases, self._shard, self._lock = cases, shard or Shard(1, 1), threading.Lock()
        self._front, self._back = 0, sys.maxsize
        self._done: set[int] = set()

    def skip(self, done: Collection[int]) -> None:
        """Leave out the cases of these numbers."""
        with self._lock:
            self._done.update(done)

    def _left_out(self, number: int) -> bool:
        return number in self._done or not self._shard.has(number)

    def first(self) -> tuple[int, Case] | None:
        """The next case from the front, with its number; None when there is none left."""
        with self._lock:
            while self._front < self._back and self._left_out(self._front):
                self._front += 1
            case = self._cases[self._front] if self._front < self._back else None
            if case is None:
                self._back = min(self._back, self._front)
                return None
            self._front += 1
            return self._front - 1, case

    def last(self) -> tuple[int, Case] | None:
        """The next case from the back."""
        with self._lock:
            self._back = min(self._back, len(self._cases))
            while self._front < self._back and self._left_out(self._back - 1):
                self._back -= 1
            if self._front >= self._back:
                return None
            self._back -= 1
            case = self._cases[self._back]
            assert case is not None  # it is within what there is
            return self._back, case

    @property
    def left(self) -> int:
        """How many cases are left."""
        with self._lock:
            left = range(self._front, min(self._back, len(self._cases)))
            return sum(not self._left_out(number) for number in left)
