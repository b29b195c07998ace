"""A clock that stands still but for the samples of a worker: what pytest-benchmark reads as its timer.

The worker measures where the framework lives; pytest-benchmark keeps the statistics, the tables, the JSON and the
comparison. Each round replays one sample: it is as long as the call was, and no request and no transport is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence


class VirtualClock:
    """Time since ``load``, in which only replayed samples pass."""

    def __init__(self) -> None:
        self._now_ns = 0

    def seconds(self) -> float:
        """The time now: the timer."""
        return self._now_ns * 1e-9

    def load(self, samples_ns: Sequence[int], calls_per_sample: int = 1) -> Callable[[], None]:
        """Begin at 0; returns one call, which moves the clock by its sample.

        Args:
            samples_ns: each the mean of ``calls_per_sample`` calls in a row, so that as many replayed calls take it each;
                after the last sample comes the first again.
        """
        self._now_ns = 0
        coming = _repeated(samples_ns, calls_per_sample)

        def replay() -> None:
            self._now_ns += next(coming)

        return replay


def _repeated(samples_ns: Sequence[int], times: int) -> Iterator[int]:
    while True:
        for sample in samples_ns:
            for _ in range(times):
                yield sample
