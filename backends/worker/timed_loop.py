"""The timed loop, which defines what a sample includes.

A sample is one call in a loop like ``y = layer(x)``: dispatch, execution, the wait for its results, and the release of the
previous results by the assignment. Making inputs, reading results and choosing the next inputs are excluded. Calls so short
that reading the clock would matter are timed in blocks; a sample is then the mean of its block.

Runs in workers: Python 3.8, standard library and NumPy only.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any, Callable, List, Optional, Sequence, Tuple

from bnspec.model.instruments import Events

#: The largest share of a sample for reading the clock; calls are grouped into blocks to stay below it.
CLOCK_SHARE = 0.002
#: The largest number of calls in a block.
LONGEST_BLOCK = 1000

Inputs = Sequence[Any]
Wait = Callable[[Any], Any]


class TimedCall:
    """One call of a layer on inputs that rotate.

    Args:
        function: the timed function; wait: returns when its argument has been computed.
        rotation: the inputs of the calls, in turn.
        events: the device's clock, or None for the host's.
        before: applied to the inputs before every call, outside the timed part; disables blocks.
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
        self.result: Any = None  # of the latest call: kept until the next assignment

    def once(self) -> Tuple[int, int]:
        """Time one call: (nanoseconds until its results were available, until it returned)."""
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
        """The same with the device's clock."""
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
        """The total nanoseconds of this many calls in a row."""
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
        """The next sample, of this many calls: (nanoseconds per call, nanoseconds until return or None in a block)."""
        if calls == 1 or self.before is not None or self.events is not None:
            return self.once()
        return self.block(calls) / calls, None


class AuditedSample:
    """Keeps the results of one unpredictable timed call among those on the first inputs."""

    def __init__(self, seed: int) -> None:
        self.random, self.offered = random.Random(seed), 0
        self.result: Any = None

    def offer(self, call: TimedCall) -> None:
        """Perhaps keep the latest result (reservoir sampling: every offered result has the same probability)."""
        if (call.made - 1) % len(call.rotation) == 0:
            self.offered += 1
            if self.random.random() * self.offered < 1.0:
                self.result = call.result


def block_size(call_ns: float, clock_ns: float, rotation: int) -> int:
    """The number of calls in a sample such that the clock takes at most ``CLOCK_SHARE`` of it.

    Never a multiple of the rotation's length, so that the last calls of blocks, which an audited sample may keep, cover all inputs.
    """
    calls = int(min(max(clock_ns / (CLOCK_SHARE * max(call_ns, 1.0)), 1.0), LONGEST_BLOCK))
    return calls + 1 if rotation > 1 and calls % rotation == 0 else calls


def clock_ns(readings: int = 200) -> float:
    """The time of an empty sample: the median over empty calls."""
    empty = TimedCall(_nothing, _nothing, [(None,)])
    return statistics.median(empty.once()[0] for _ in range(readings))


def _nothing(_: Any) -> None:
    """Do nothing."""


def samples_of(
    call: TimedCall, calls: int, seconds: float, least: int, most: int, audited_sample: Optional[AuditedSample] = None
) -> Tuple[List[float], List[int], int]:
    """Samples until the time is over: (nanoseconds per call, nanoseconds until return, calls made)."""
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
