"""Which cases a kernel is asked in the time that there is: the cost of each is estimated from those that went before it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bnspec.conformance.cases.effort import EffortName
from bnspec.conformance.kernels.asked import is_offered
from bnspec.model.call import MODES
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions

#: Seconds of the kernel itself for cases. Judging them runs beside it; what goes before and after them (inferring conventions, shrinking, timing) takes 30 more at most on a quiet machine.
SECONDS: dict[EffortName, float] = {"device": 25.0, "quick": 25.0, "standard": 600.0, "thorough": 600.0}


@dataclass
class Budget:
    """Hands out the cases that a kernel is likely to answer within ``seconds`` of its own time, whatever judging them takes.

    The cost of a case is estimated from every case before it, as that case's seconds times the largest ratio of their extents: an upper
    bound where the cost is a sum of terms that are each proportional to one of ``extents_of`` or constant. The least estimate counts.

    Attributes:
        each: what a case may take on the clock of the wall. spent: the kernel's seconds so far. asked: the ids of the cases with an x that is offered.
        left_out: cases that were not asked for lack of time; largest: the shape of the largest x that was asked.
    """

    seconds: float
    each: float = math.inf
    spent: float = 0.0
    left_out: int = 0
    largest: tuple[int, ...] = ()
    asked: set[str] = field(default_factory=set)
    known: list[tuple[tuple[int, ...], float, float]] = field(default_factory=list)

    def within(self, cases: Iterable[Case], conventions: Conventions) -> Iterator[Case]:
        """The cases for which there is time. The next one is asked for when the last one was run; those that are not offered take none."""
        for case in cases:
            x = case.arrays.get("x")
            if x is not None and is_offered(case.config, conventions):
                seconds, wall = self.estimates(extents_of(case))
                if self.spent + seconds > self.seconds or wall > self.each:
                    self.left_out += 1
                    continue
                if x.size > math.prod(self.largest or (0,)):
                    self.largest = x.shape
                self.asked.add(case.id)
            yield case

    def took(self, case: Case, wall: float, cpu: float) -> None:
        """Note what a case took, if it is one that is offered; other programs may have taken half of the time that went by."""
        seconds = max(cpu, wall / 2.0)
        if case.id in self.asked:
            self.spent += seconds
            self.known.append((extents_of(case), seconds, wall))

    def estimates(self, extents: Sequence[int]) -> tuple[float, float]:
        """Seconds that a case of these extents takes at most, of the kernel and on the clock of the wall; 0 where nothing is known."""
        growths = [
            (max(1.0, *(a / b for a, b in zip(extents, known, strict=True))), seconds, wall)
            for known, seconds, wall in self.known
        ]
        return min((g * s for g, s, _ in growths), default=0.0), min((g * w for g, _, w in growths), default=0.0)


def extents_of(case: Case) -> tuple[int, ...]:
    """What the time of a kernel grows with, summed over the calls of each mode: calls, elements, programs and turns of their loops.

    A call that the kernel declines takes no time, and so says nothing of those of another mode.
    """
    sums = {mode: [0] * 6 for mode in MODES}
    for step in case.steps:
        x = next((a for n in step.inputs if (a := case.arrays.get(n)) is not None), None)
        if x is not None and x.size:
            channels, batch = case.config.channels, x.shape[0]
            here = (1, x.size, channels, batch, batch * channels, x.size // channels)
            mode = step.call.mode
            assert mode is not None, "of a pass of a layer"
            sums[mode] = [a + b for a, b in zip(sums[mode], here, strict=True)]
    return tuple(max(n, 1) for mode in MODES for n in sums[mode])
