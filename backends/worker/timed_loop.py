"""The timed loop, which defines what a sample includes.

A sample is one call in a loop like ``y = layer(x)``: dispatch, execution, the wait for its results, and the release of the
previous call's results by the assignment. Making inputs, reading results and choosing the next inputs are outside. Calls too
short for the clock's own cost to be negligible are timed in blocks; a sample is then the mean of its block.

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
#: The most calls to a block: their inputs are listed before it starts.
LONGEST_BLOCK = 1000

Inputs = Sequence[Any]
Wait = Callable[[Any], Any]


class TimedCall:
    """One call of a layer on inputs that rotate.

    Args:
        function: the timed function; wait: returns when its argument has been computed.
        rotation: the inputs of the calls, in turn.
        before: called with the inputs ahead of every call, outside its time, and done when it returns; with it, there are no
            blocks.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        wait: Wait,
        rotation: Sequence[Inputs],
        before: Optional[Callable[[Inputs], None]] = None,
    ) -> None:
        self.function, self.wait, self.before = function, wait, before
        self.rotation, self.made = [tuple(inputs) for inputs in rotation], 0
        self.result: Any = None  # of the latest call: kept until the next assignment

    def once(self) -> Tuple[int, int]:
        """One call; returns (nanoseconds until its results were ready, nanoseconds until it returned)."""
        (inputs,) = self.next_inputs(1)
        if self.before is not None:
            self.before(inputs)
        function, wait, clock = self.function, self.wait, time.perf_counter_ns
        result, self.result = self.result, None
        begun = clock()
        result = function(*inputs)
        dispatched = clock()
        wait(result)
        ended = clock()
        self.result = result
        return ended - begun, dispatched - begun

    def on_device(self, events: Events) -> Optional[int]:
        """One call on the device's clock; see ``Events``."""
        (inputs,) = self.next_inputs(1)
        if self.before is not None:
            self.before(inputs)
        self.result = None
        return events.elapsed_ns(lambda: self.function(*inputs))

    def pipelined(self, calls: int) -> float:
        """So many calls queued one behind the other and waited for once: nanoseconds a call."""
        function, wait, clock = self.function, self.wait, time.perf_counter_ns
        result, self.result = self.result, None
        todo = self.next_inputs(calls)
        begun = clock()
        for inputs in todo:
            result = function(*inputs)
        wait(result)
        ended = clock()
        self.result = result
        return (ended - begun) / calls

    def next_inputs(self, calls: int) -> List[Inputs]:
        """The inputs of the next calls."""
        todo: List[Inputs] = [self.rotation[(self.made + i) % len(self.rotation)] for i in range(calls)]
        self.made += calls
        return todo

    def block(self, calls: int) -> int:
        """So many calls in a row; returns their total in nanoseconds."""
        function, wait, clock = self.function, self.wait, time.perf_counter_ns
        todo = self.next_inputs(calls)
        result, self.result = self.result, None
        begun = clock()
        for inputs in todo:
            result = function(*inputs)
            wait(result)
        ended = clock()
        self.result = result
        return ended - begun

    def sample(self, calls: int) -> Tuple[float, Optional[int]]:
        """The next sample, of so many calls: (nanoseconds a call, nanoseconds until it returned or None in a block)."""
        if calls == 1:
            return self.once()
        return self.block(calls) / calls, None


class AuditedSample:
    """The results of one timed call on the first inputs, drawn at random so that no layer can know which call is audited."""

    def __init__(self, seed: int) -> None:
        self.random, self.candidates = random.Random(seed), 0
        self.result: Any = None

    def consider(self, call: TimedCall) -> None:
        """Keep the latest results with probability 1 / candidates so far, which makes all candidates equally likely in the end."""
        if (call.made - 1) % len(call.rotation) == 0:
            self.candidates += 1
            if self.random.random() * self.candidates < 1.0:
                self.result = call.result


def block_size(call_ns: float, clock_ns: float, rotation: int) -> int:
    """The number of calls in a sample such that the clock takes at most ``CLOCK_SHARE`` of it.

    Never a multiple of the rotation's length: the last calls of the blocks, from which the audited sample is drawn, then rotate too.
    """
    calls = int(min(max(clock_ns / (CLOCK_SHARE * max(call_ns, 1.0)), 1.0), LONGEST_BLOCK))
    return calls + 1 if rotation > 1 and calls % rotation == 0 else calls


def clock_ns(readings: int = 200) -> float:
    """What an empty sample reads: the median over calls that do nothing."""
    empty = TimedCall(_nothing, _nothing, [(None,)])
    return statistics.median(empty.once()[0] for _ in range(readings))


def clock_step_ns(readings: int = 200) -> float:
    """The smallest step of the host's clock that is seen."""
    seen = sorted({time.perf_counter_ns() for _ in range(readings)})
    return float(min((b - a for a, b in zip(seen[:-1], seen[1:])), default=0))  # noqa: RUF007  # newer than Python 3.8


def _nothing(_: Any) -> None:
    """Do nothing."""


def samples_of(
    call: TimedCall, calls: int, seconds: float, least: int, most: int, audited: Optional[AuditedSample] = None
) -> Tuple[List[float], List[int], int]:
    """Samples until the time is over: (nanoseconds a call, nanoseconds until it returned, calls made)."""
    samples: List[float] = []
    dispatched: List[int] = []
    budget, begun, made = seconds * 1e9, time.perf_counter_ns(), call.made
    while len(samples) < most and (len(samples) < least or time.perf_counter_ns() - begun < budget):
        ns, dispatch_ns = call.sample(calls)
        samples.append(ns)
        if dispatch_ns is not None:
            dispatched.append(dispatch_ns)
        if audited is not None:
            audited.consider(call)
    return samples, dispatched, call.made - made
