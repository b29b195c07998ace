"""The conditions of a timing besides its workload, as named axes.

threads      processors that the process is bound to, and its libraries' thread count; 0: all processors
allocation   of results. "default": as the C library does it. "fresh": new pages for every result. "preallocated": memory
             that the process already has and never returns
cache        "hot": as the previous calls leave it. "cold": flushed before every call
mode         "call", or "graph": the replay of a recorded graph (CUDA)
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import Literal, get_args

from bnspec.errors import UsageError
from bnspec.model.vocabulary import CACHE_STATES, TIMED_MODES, CacheState, TimedMode

Allocation = Literal["default", "fresh", "preallocated"]
ALLOCATIONS: tuple[Allocation, ...] = get_args(Allocation)
#: The axes of the host's memory and processors: on another device they are no conditions of a call.
OF_THE_HOST = ("allocation", "threads")

#: glibc's switches. "fresh": every block of a page or more has a mapping of its own, unmapped when freed. "preallocated": no
#: block has, and the heap never shrinks.
_MALLOC: dict[Allocation, dict[str, str]] = {
    "default": {},
    "fresh": {"MALLOC_MMAP_THRESHOLD_": "4096", "MALLOC_MMAP_MAX_": "1000000"},
    "preallocated": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**62), "MALLOC_TOP_PAD_": str(2**26)},
}
#: OpenMP's threads are pinned, each to a processor of its own: two threads that spin on one processor, waiting for each other,
#: cost a time slice of the kernel for every step (tens of milliseconds for a call of 40 microseconds, measured on two cores).
_BOUND = {"OMP_PROC_BIND": "true", "OMP_PLACES": "threads"}
#: Variables that set the number of threads of libraries which ignore the process's binding.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC")


@dataclasses.dataclass(frozen=True)
class Conditions:
    """One value of each axis."""

    threads: int = 0
    allocation: Allocation = "default"
    cache: CacheState = "hot"
    mode: TimedMode = "call"

    @property
    def named(self) -> dict[str, str | int]:
        """The axes whose value is not the default."""
        fields = dataclasses.fields(self)
        return {f.name: getattr(self, f.name) for f in fields if getattr(self, f.name) != f.default}

    @property
    def environment(self) -> dict[str, str]:
        """A worker's environment under these conditions; the user's own settings of OpenMP's binding stay.

        Raises UsageError: more threads than there are processors.
        """
        variables = {name: os.environ.get(name, value) for name, value in _BOUND.items()}
        variables.update(_MALLOC[self.allocation])
        if self.threads:
            there = processors()
            if self.threads > len(there):
                raise UsageError(
                    f"{self.threads} threads are too many.",
                    f"this process may use {len(there)} processors, and each thread needs one of its own.",
                    f"give at most {len(there)}.",
                )
            chosen = there[-self.threads :]  # the first one serves the system's interrupts
            variables["BNSPEC_PROCESSORS"] = ",".join(map(str, chosen))
            variables.update(dict.fromkeys(_THREADS, str(self.threads)))
        return variables


def processors() -> list[int]:
    """The numbers of the processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def combinations(
    threads: Sequence[int] = (),
    allocation: Sequence[Allocation] = (),
    cache: Sequence[CacheState] = (),
    mode: Sequence[TimedMode] = (),
) -> list[Conditions]:
    """Every combination of the given values; an axis without values has its default.

    Raises UsageError: a value that an axis does not have.
    """
    for axis, given, known in (
        ("allocation", allocation, ALLOCATIONS),
        ("cache", cache, CACHE_STATES),
        ("mode", mode, TIMED_MODES),
    ):
        for wrong in [g for g in given if g not in known]:
            raise UsageError(f"{axis} cannot be {wrong!r}.", f"known are {', '.join(known)}.", "name one of them.")
    default = Conditions()
    axes = itertools.product(
        threads or (default.threads,),
        allocation or (default.allocation,),
        cache or (default.cache,),
        mode or (default.mode,),
    )
    found = [Conditions(*values) for values in axes]
    for conditions in found:
        _ = conditions.environment  # raises before anything is timed
    return list(dict.fromkeys(found))
