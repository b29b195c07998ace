"""Timing records sent by workers: the time of a call and the bandwidth of memory.

Runs in workers: Python 3.8, standard library only.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Mapping, Optional, Tuple, Union

from bnspec.model.vocabulary import MemoryAction, Probe

#: The shapes of a call's outputs by their names.
Shapes = Mapping[str, Tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class TimingResult:
    """The timed call of one process.

    Attributes:
        first_ns: the first call, recorded separately; compile_ns: compile time during it or before it.
        warmup: calls that were not recorded.
        samples_ns: time of a call on the host's clock until its results were ready, as the mean over the ``calls_per_sample``
            calls of a sample; clock_resolution_ns: the smallest step of that clock that was seen.
        device_ns: the median time of a call on the device's own clock, whose step is device_resolution_ns; None where it has
            none, or where the device waited for the host. pipelined_ns: the time of a call of many that were queued and waited
            for once; None where calls are not queued. device_state: clocks, temperature, power and throttling after the samples.
        dispatch_ns: the median time until a call returned; None if samples are blocks.
        timed_ns: warm-up and samples together; overhead_ns: the time of an empty sample.
        page_faults_per_call: minor ones; threads: of the framework; peak_bytes: of a call. None where unknown.
        probes: each probe with its objection, or ""; probes_ns: the time that all probes took.
        shapes: output shapes of the observed call and, where there is one, of the audited sample.
    """

    first_ns: int
    compile_ns: int
    warmup: int
    samples_ns: Tuple[int, ...]
    calls_per_sample: int
    dispatch_ns: Optional[float]
    timed_ns: int
    overhead_ns: float
    page_faults_per_call: Optional[float]
    threads: Optional[int]
    peak_bytes: Optional[int]
    probes: Mapping[Probe, str]
    probes_ns: int
    shapes: Tuple[Shapes, ...]
    clock_resolution_ns: float = 0.0
    device_ns: Optional[float] = None
    device_resolution_ns: Optional[float] = None
    pipelined_ns: Optional[float] = None
    device_state: Mapping[str, Union[float, str]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> Dict[str, Any]:
        """JSON-ready data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TimingResult:
        """The inverse of ``to_json``. Raises TypeError: a field is missing or unknown."""
        shapes = tuple({n: tuple(shape) for n, shape in each.items()} for each in data["shapes"])
        return cls(**{**data, "samples_ns": tuple(data["samples_ns"]), "shapes": shapes})


@dataclasses.dataclass(frozen=True)
class BandwidthCurve:
    """Bytes per second for each buffer size, moved by this number of threads.

    Attributes:
        sizes_bytes: bytes read; a copy writes as many, and both are counted.
    """

    action: MemoryAction
    threads: int
    sizes_bytes: Tuple[int, ...]
    bytes_per_second: Tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class PlainCopy:
    """A copy of a buffer by one thread, timed like any call; ``same``: whether the copy equals the source."""

    size_bytes: int
    samples_ns: Tuple[int, ...]
    same: bool


@dataclasses.dataclass(frozen=True)
class Bandwidth:
    """A device's memory bandwidth: curves, plain copies, and the time spent measuring them."""

    curves: Tuple[BandwidthCurve, ...] = ()
    copies: Tuple[PlainCopy, ...] = ()
    timed_ns: int = 0

    def to_json(self) -> Dict[str, Any]:
        """JSON-ready data."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Bandwidth:
        """The inverse of ``to_json``. Raises TypeError: a field is missing or unknown."""
        curves = tuple(
            BandwidthCurve(
                **{
                    **c,
                    "sizes_bytes": tuple(c["sizes_bytes"]),
                    "bytes_per_second": tuple(c["bytes_per_second"]),
                }
            )
            for c in data["curves"]
        )
        copies = tuple(PlainCopy(**{**c, "samples_ns": tuple(c["samples_ns"])}) for c in data["copies"])
        return cls(curves, copies, data["timed_ns"])
