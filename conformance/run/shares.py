"""The time of a run, divided among its targets where it is limited."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

#: Of the time of a run, what is divided; the rest is for what the last targets are doing when their shares are up.
DIVIDED = 0.95
#: Of the time of a target, what its cases get; the rest is for shrinking what deviates, and for its causes.
FOR_CASES = 2 / 3
#: Of the same, what is left at least when its framework is open, however long that took: something is judged of each.
ONCE_OPEN = 1 / 4


@dataclass(frozen=True)
class Share:
    """The time of one target. ``begins``, ``ends``: in seconds of ``now``."""

    begins: float
    ends: float
    now: Callable[[], float] = time.monotonic

    def opened(self) -> Share:
        """The share from now on, when the framework is open."""
        now = self.now()
        return Share(now, max(self.ends, now + ONCE_OPEN * (self.ends - self.begins)), self.now)

    @property
    def left(self) -> float:
        """Seconds until the end, 0 after it."""
        return max(self.ends - self.now(), 0.0)

    @property
    def cases_over(self) -> bool:
        """Whether no further case is begun."""
        return self.now() >= self.begins + FOR_CASES * (self.ends - self.begins)


#: The share of what has no limit.
ALL_TIME = Share(0.0, math.inf)


class Shares:
    """Divides a time: a target that begins has an equal part of what is left of it, so what one does not need is the others'.

    Args:
        ends: of the whole run, in seconds of ``now``; infinite: there is no limit.
        targets: that will begin; workers: how many of them run at a time.
    """

    def __init__(self, ends: float, targets: int, workers: int = 1, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock, self._ends = now, threading.Lock(), ends
        self._waiting, self._workers = targets, workers

    def begin(self) -> Share:
        """The share of the next target."""
        with self._lock:
            begins, rounds = self._now(), max(self._waiting / self._workers, 1.0)
            self._waiting -= 1
        if math.isinf(self._ends):
            return ALL_TIME
        return Share(begins, begins + max(self._ends - begins, 0.0) / rounds, self._now)
