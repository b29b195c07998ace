"""A clock of work: what a search may do does not depend on what else the machine does meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Work may take so many times as long by the wall clock, where others use the processors or it waits for a device.
PATIENCE = 4


class WorkClock:
    """Seconds of work since it was made: processor time of the calling thread and of its worker, which the thread waits for.

    It is never ahead of the wall clock, as the sum over a worker's threads would be, nor behind a quarter of it.

    Attributes:
        worker: processor time of the worker so far, in seconds; who runs the cases adds to it.
    """

    def __init__(
        self, wall: Callable[[], float] = time.monotonic, thread: Callable[[], float] = time.thread_time
    ) -> None:
        self.worker = 0.0
        self._wall, self._thread = wall, thread
        self._began = wall(), thread()

    def __call__(self) -> float:
        """The time; from one thread alone."""
        wall, thread = self._wall() - self._began[0], self._thread() - self._began[1]
        return min(wall, max(thread + self.worker, wall / PATIENCE))
