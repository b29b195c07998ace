"""The memory traffic of a pass: the minimum, and what it is when nothing stays in a cache between two reads.

With S the bytes of x, in units of S, as (read, written):

    pass                               minimal    streaming    where the streaming comes from
    training                           (1, 1)     (3, 1)       x for the mean, for the variance, and to be normalised
    training_gradients                 (2, 2)     (7, 2)       the above; x and dy for the two sums, and again for dx
    inference, transform               (1, 1)     (1, 1)
    frozen                             (2, 2)     (3, 2)       x for y; x and dy for dx and the sums
    fit                                (1, 0)     (2, 0)       x for the mean and for the variance
    layer_norm, layer_norm_gradients   (1, 1), (2, 2)          a row stays in a cache

Statistics and parameters, of C elements each, are left out. Writes count once: whether the processor reads a line before it is
overwritten (write-allocate) is left out. Networks have no entry: their matrix products dominate their traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

from bnspec.benchmarks.workloads.workload import Workload
from bnspec.model.buffers import dtype_of

#: (read, written) in units of the bytes of x.
MINIMAL: Mapping[str, tuple[int, int]] = {
    "training": (1, 1),
    "training_gradients": (2, 2),
    "inference": (1, 1),
    "transform": (1, 1),
    "frozen": (2, 2),
    "fit": (1, 0),
    "layer_norm": (1, 1),
    "layer_norm_gradients": (2, 2),
}
STREAMING: Mapping[str, tuple[int, int]] = {
    **MINIMAL,
    "training": (3, 1),
    "training_gradients": (7, 2),
    "frozen": (3, 2),
    "fit": (2, 0),
}


def minimal_bytes(workload: Workload) -> tuple[int, int] | None:
    """(read, written) that every implementation needs; None for networks."""
    return _bytes(workload, MINIMAL)


def streaming_bytes(workload: Workload) -> tuple[int, int] | None:
    """(read, written) of a two-pass implementation whose x does not fit into a cache; None for networks."""
    return _bytes(workload, STREAMING)


def _bytes(workload: Workload, table: Mapping[str, tuple[int, int]]) -> tuple[int, int] | None:
    if workload.pass_name not in table:
        return None
    size = workload.elements * dtype_of(workload.dtype).itemsize
    read, written = table[workload.pass_name]
    return read * size, written * size
