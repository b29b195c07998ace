"""Prepared workloads, shared by all processes of a run: as many of them at a time as a share of the memory holds."""

from __future__ import annotations

import collections

from bnspec.benchmarks.timing.judge_outputs import Prepared
from bnspec.benchmarks.workloads.workload import Workload

#: Bytes of inputs that are kept at a time; what has been used longest ago is made again when it is asked for.
ROOM_BYTES = 2**31


class Larder:
    """Workloads with their cases and oracles, each made when it is first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._kept: collections.OrderedDict[Workload, Prepared] = collections.OrderedDict()

    def prepared(self, workload: Workload) -> Prepared:
        """The workload's case and oracle."""
        found = self._kept.pop(workload, None) or Prepared(workload, self._seed)
        self._kept[workload] = found
        while len(self._kept) > 1 and sum(size_bytes(p) for p in self._kept.values()) > ROOM_BYTES:
            self._kept.popitem(last=False)
        return found


def size_bytes(prepared: Prepared) -> int:
    """Of a case's arrays."""
    return sum(a.nbytes for a in prepared.case.arrays.values())
