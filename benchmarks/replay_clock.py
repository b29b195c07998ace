"""A clock that advances only by the worker's samples: the timer of pytest-benchmark in ``test_bench``.

The worker measures where the framework lives; pytest-benchmark keeps the statistics, the tables, the JSON and the
comparison. Each round replays one sample and lasts as long as the call did, without request or transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence


class ReplayClock:
    """Time since ``load``, in which only replayed samples count."""

    def __init__(self) -> None:
        self._now_ns = 0

    def seconds(self) -> float:
        """The time now: the timer."""
        return self._now_ns * 1e-9

    def load(self, samples_ns: Sequence[int], calls_per_sample: int = 1) -> Callable[[], None]:
        """Start at 0; returns a function that advances the clock by the next sample.

        Args:
            samples_ns: each the mean of ``calls_per_sample`` calls in a row, and replayed as often; after the last sample the first
                follows.
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
