"""A clock that stands still but for the samples of a worker: what pytest-benchmark reads as its timer.

The worker measures where the framework lives; pytest-benchmark keeps the statistics, the tables, the JSON and the
comparison. Each round replays one sample: it is as long as the call was, and no request and no transport is in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence


class VirtualClock:
    """Time since ``load``, in which only replayed samples pass."""

    def __init__(self) -> None:
        self._now_ns = 0

    def seconds(self) -> float:
        """The time now: the timer."""
        return self._now_ns * 1e-9

    def load(self, samples_ns: Sequence[int]) -> Callable[[], None]:
        """Begin at 0; returns the round, which moves the clock by the next sample, and after the last by the first."""
        self._now_ns = 0
        coming = itertools.cycle(samples_ns)

        def replay() -> None:
            self._now_ns += next(coming)

        return replay
