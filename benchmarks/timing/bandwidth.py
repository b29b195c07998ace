"""The memory roofs of a run, measured within it: on the host by a worker of their own, on a device by the contender's framework."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from bnspec.backends.harness.launcher import Worker
from bnspec.backends.harness.registry import select
from bnspec.benchmarks.timing.contender import Contender
from bnspec.benchmarks.workloads.traffic import minimal_bytes
from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.timing import Bandwidth
from bnspec.reports.run.fields import Ratio
from bnspec.reports.run.records import Roof, Timing
from bnspec.reports.run.vocabulary import TimingVerdict

#: Sizes of the plain copies that are timed as layers are: they should reach the roof, or the roof is wrong.
COPIES_BYTES = (3 * 2**17, 3 * 2**21, 3 * 2**24)
#: With more sizes than this, they are rounded to quarters of an octave.
MOST_SIZES = 24
#: Smaller and larger buffers take the roof of these sizes.
LEAST, LARGEST = 2**14, 2**27
COPY = "plain_copy"


def sizes_of(workloads: Sequence[Workload]) -> list[int]:
    """Sizes of the buffers that the workloads move."""
    moved = {
        b for w in workloads if (m := minimal_bytes(w)) for b in (min(m), abs(m[0] - m[1])) if LEAST <= b <= LARGEST
    }
    if len(moved) > MOST_SIZES:
        moved = {round(2 ** (round(4 * math.log2(b)) / 4)) for b in moved}
    return sorted({*moved, *COPIES_BYTES})


def measured_roofs(
    device: str, contender: Contender, process: int, sizes: Sequence[int], seconds: dict[str, float]
) -> Iterator[Roof | Timing]:
    """The bandwidth curves of a device and a few plain copies, in a process of their own; nothing where it does not open.

    ``sizes``: measured besides the curves' grid. ``seconds``: the run's account of time; "open" and "timed" are added to.
    """
    begun = time.perf_counter()
    host = device == "cpu"
    entry = select(["numpy"])[0] if host else contender.target.entry
    with Worker(entry, device, limits=contender.limits) as worker:
        if worker.hello.status != "ready":
            return
        seconds["open"] += time.perf_counter() - begun
        answer = worker.roofs({"sizes": list(sizes), "copies": COPIES_BYTES})
    seconds["timed"] += answer.timed_ns * 1e-9
    yield from records_of(answer, device, process)


def records_of(answer: Bandwidth, device: str, process: int) -> Iterator[Roof | Timing]:
    """What a worker measured of a device, as records."""
    conditions: dict[str, int | str] = {"threads": 1} if device == "cpu" else {}
    for curve in answer.curves:
        yield Roof(device, curve.action, curve.threads, process, curve.sizes_bytes, curve.bytes_per_second)
    for copy in answer.copies:
        samples, size = copy.samples_ns, copy.size_bytes
        verdict: TimingVerdict = "conforms" if copy.same else "deviates"
        ratio: Ratio = 0.0 if copy.same else "inf"
        yield Timing(
            COPY, device, "copy", (size,), "uint8", 0, samples, float(np.median(samples)), None, 1, verdict, ratio,
            workload="plain copy", conditions=conditions, process=process, moved_bytes=(size, size),
        )  # fmt: skip
