"""The timed loop: what is inside a sample, and what is not.

A sample is one call in a loop like ``y = layer(x)``: dispatch, execution, the wait until its results are there, and the release
of the results of the call before, which the assignment brings. Making inputs, reading results and choosing what comes next lie
outside. Calls so short that reading the clock would show are timed in blocks; a sample is then the mean of its block.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any, Callable, List, Optional, Sequence, Tuple

from bnspec.model.instruments import Events

#: The share of a sample that reading the clock may take; calls are joined to blocks until it takes no more.
CLOCK_SHARE = 0.002
#: At most so many calls to a block: it must hold still for all of them.
LONGEST_BLOCK = 1000

Inputs = Sequence[Any]
Wait = Callable[[Any], Any]


class TimedCall:
    """One call of a layer on inputs that rotate.

    Args:
        function: what is called; wait: returns when what it is given has been computed.
        rotation: the inputs of the calls, in turn.
        events: the device's clock, or None for the host's.
        before: done with the inputs ahead of every call, outside of its time; with it, no blocks are made.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        wait: Wait,
        rotation: Sequence[Inputs],
        events: Optional[Events] = None,
        before: Optional[Callable[[Inputs], None]] = None,
    ) -> None:
        self.function, self.wait, self.events, self.before = function, wait, events, before
        self.rotation, self.made = [tuple(inputs) for inputs in rotation], 0
        self.result: Any = None  # of the latest call: alive until the next one's assignment

    def once(self) -> Tuple[int, int]:
        """One call; returns (nanoseconds until its results were there, until it came back)."""
        inputs = self.rotation[self.made % len(self.rotation)]
        self.made += 1
        if self.before is not None:
            self.before(inputs)
        if self.events is not None:
            return self.on_device(self.events, inputs)
        function, wait, clock = self.function, self.wait, time.perf_counter_ns
        result, self.result = self.result, None
        begun = clock()
        result = function(*inputs)
        dispatched = clock()
        wait(result)
        ended = clock()
        self.result = result
        return ended - begun, dispatched - begun

    def on_device(self, events: Events, inputs: Inputs) -> Tuple[int, int]:
        """The same by the device's clock."""
        function, result = self.function, self.result
        self.result = None
        begun = time.perf_counter_ns()
        events.start()
        result = function(*inputs)
        events.stop()
        dispatched = time.perf_counter_ns() - begun
        self.wait(result)
        self.result = result
        return events.elapsed_ns(), dispatched

    def block(self, calls: int) -> int:
        """So many calls in a row; returns the nanoseconds of all of them together."""
        function, wait, clock = self.function, self.wait, time.perf_counter_ns
        todo = [self.rotation[(self.made + i) % len(self.rotation)] for i in range(calls)]
        self.made += calls
        result, self.result = self.result, None
        begun = clock()
        for inputs in todo:
            result = function(*inputs)
            wait(result)
        ended = clock()
        self.result = result
        return ended - begun

    def sample(self, calls: int) -> Tuple[float, Optional[int]]:
        """The next sample, of so many calls: (nanoseconds a call, nanoseconds to come back or None in a block)."""
        if calls == 1 or self.before is not None or self.events is not None:
            return self.once()
        return self.block(calls) / calls, None


class AuditedSample:
    """Keeps the results of one timed call that nobody could know beforehand, of those made on the first inputs."""

    def __init__(self, seed: int) -> None:
        self.random, self.offered = random.Random(seed), 0
        self.result: Any = None

    def offer(self, call: TimedCall) -> None:
        """Perhaps keep what the latest call returned: each one so seen is kept in the end with the same probability."""
        if (call.made - 1) % len(call.rotation) == 0:
            self.offered += 1
            if self.random.random() * self.offered < 1.0:
                self.result = call.result


def block_size(call_ns: float, clock_ns: float, rotation: int) -> int:
    """How many calls make a sample, so that the clock takes at most ``CLOCK_SHARE`` of it.

    Never a multiple of the rotation's length: the last calls of the blocks, which an audited sample may keep, are then of every kind.
    """
    calls = int(min(max(clock_ns / (CLOCK_SHARE * max(call_ns, 1.0)), 1.0), LONGEST_BLOCK))
    return calls + 1 if rotation > 1 and calls % rotation == 0 else calls


def clock_ns(readings: int = 200) -> float:
    """What a sample of nothing reads: the median over empty calls."""
    empty = TimedCall(_nothing, _nothing, [(None,)])
    return statistics.median(empty.once()[0] for _ in range(readings))


def _nothing(_: Any) -> None:
    """No work at all."""


def samples_of(
    call: TimedCall, calls: int, seconds: float, least: int, most: int, audited_sample: Optional[AuditedSample] = None
) -> Tuple[List[float], List[int], int]:
    """Samples until the time is over: (nanoseconds a call, nanoseconds to come back, calls made)."""
    samples: List[float] = []
    dispatched: List[int] = []
    budget, begun, made = seconds * 1e9, time.perf_counter_ns(), call.made
    while len(samples) < most and (len(samples) < least or time.perf_counter_ns() - begun < budget):
        ns, came_back = call.sample(calls)
        samples.append(ns)
        if came_back is not None:
            dispatched.append(came_back)
        if audited_sample is not None:
            audited_sample.offer(call)
    return samples, dispatched, call.made - made
