"""A cache of cases with their oracles, shared by all processes of a run and bounded in bytes."""

from __future__ import annotations

import collections

from bnspec.benchmarks.timing.judge_outputs import TimedCase
from bnspec.benchmarks.workloads.workload import Workload

#: Bytes of inputs in the cache; the least recently used case is dropped first, and made again on demand.
LIMIT_BYTES = 2**31


class CaseCache:
    """The timed cases of a run, each made on first use."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kept: collections.OrderedDict[Workload, TimedCase] = collections.OrderedDict()

    def get(self, workload: Workload) -> TimedCase:
        """The workload's case and oracles."""
        found = self._kept.pop(workload, None) or TimedCase(workload, self._seed)
        self._kept[workload] = found
        while len(self._kept) > 1 and sum(size_bytes(p) for p in self._kept.values()) > LIMIT_BYTES:
            self._kept.popitem(last=False)
        return found


def size_bytes(timed_case: TimedCase) -> int:
    """Size of a case's arrays."""
    return sum(a.nbytes for a in timed_case.case.arrays.values())
