"""The roofs of a run, measured in it: by a worker of its own on the host, by the contender's framework on another device."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import select
from bnspec.benchmarks.timing.contenders import Contender
from bnspec.benchmarks.workloads.traffic import minimal_bytes
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.reports.run.records import Roof, Timing
from bnspec.reports.run.vocabulary import TimingVerdict

#: Sizes of the plain copies that are timed as layers are: they should come out at the roof, or the roof is wrong.
COPIES_BYTES = (3 * 2**17, 3 * 2**21, 3 * 2**24)
#: More sizes than these are rounded to quarters of an octave.
MOST_SIZES = 24
#: Smaller and larger buffers have the roof of these.
LEAST, LARGEST = 2**14, 2**27
COPY = "plain copy"


def sizes_of(workloads: Sequence[Workload]) -> list[int]:
    """Buffers as large as those that the workloads move."""
    moved = {
        b for w in workloads if (m := minimal_bytes(w)) for b in (min(m), abs(m[0] - m[1])) if LEAST <= b <= LARGEST
    }
    if len(moved) > MOST_SIZES:
        moved = {round(2 ** (round(4 * math.log2(b)) / 4)) for b in moved}
    return sorted({*moved, *COPIES_BYTES})


def measured_roofs(
    device: str, contender: Contender, process: int, sizes: Sequence[int], seconds: dict[str, float]
) -> Iterator[Roof | Timing]:
    """The bandwidth curves of a device, and a few plain copies, in a process of their own; nothing where it does not open.

    ``sizes``: at which the curves are measured besides their grid. ``seconds``: the run's account, to which "open" and "timed" are added.
    """
    begun = time.perf_counter()
    host = device == "cpu"
    entry = select(["numpy"])[0] if host else contender.target.entry
    with Worker(entry, device) as worker:
        if worker.hello.status != "ready":
            return
        seconds["open"] += time.perf_counter() - begun
        answer = worker.roofs({"sizes": list(sizes), "copies": COPIES_BYTES})
    seconds["timed"] += answer["timed_ns"] * 1e-9
    for found in answer["roofs"]:
        sizes, speeds = tuple(found["sizes_bytes"]), tuple(found["bytes_per_second"])
        yield Roof(device, found["action"], found["threads"], process, sizes, speeds)
    for copy in answer["copies"]:
        samples, size = tuple(copy["samples_ns"]), copy["bytes"]
        verdict: TimingVerdict = "conforms" if copy["same"] else "deviates"
        ratio = 0.0 if copy["same"] else "inf"
        yield Timing(
            COPY, device, "copy", (size,), "uint8", 0, samples, float(np.median(samples)), None, 1, verdict, ratio,
            workload="plain copy", conditions={"threads": 1} if host else {}, process=process, moved_bytes=(size, size),
        )  # fmt: skip
