"""The records of a run directory: what a run says, as plain data.

A run directory holds ``manifest.json`` (one Manifest), ``records.jsonl`` (one of the other records a line, append-only, each
with its ``kind``) and ``cases/*.json`` (saved cases, named by their id). Everything downstream reads only this.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from bnspec.reports.run.evidence import Evidence, KnownDeviation

SCHEMA = "bnspec-run/1"

#: What can be said of a clause on a target. Only "conforms" and "deviates" are judgements; the others say why there is none.
VERDICTS = (
    "conforms",  # every judged case is within its bound
    "deviates",  # at least one is not
    "crashed",  # the process died in a case
    "timeout",  # the process did not answer in a case
    "declined",  # the backend offers none of the cases that the clause needs
    "not_exercised",  # no case of this run asks the clause
    "unavailable",  # the target could not be opened
)


#: How a target answered when it was opened. Only "ready" can be judged; the others come with a reason.
TARGET_STATUSES = ("ready", "absent", "unavailable", "malformed", "broken", "crashed", "timeout")

#: error / bound; infinite is the string "inf" because JSON has no infinity; None where nothing was judged.
Ratio = float | str | None


def ratio_value(ratio: Ratio) -> float:
    """The ratio as a number: "inf" is infinity, and None (nothing was judged) is NaN."""
    return math.nan if ratio is None else float(ratio)


def ratio_text(ratio: Ratio) -> str:
    """The ratio for a person in at most seven characters: three digits, "∞" where infinite, "" where nothing was judged.

    Never "1" for what is not 1, because a verdict hangs on the side: "<1" and ">1".
    """
    value = ratio_value(ratio)
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞"
    if value != 1 and f"{value:.3g}" == "1":
        return "<1" if value < 1 else ">1"
    if value == 0 or 1e-3 <= value < 1e4:
        return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What was run, where and when. ``command`` is the command line that made the run."""

    id: str
    command: str
    started: str
    bnspec: str
    seed: int
    effort: str
    machine: dict[str, Any]
    packages: dict[str, str]
    options: dict[str, Any]
    schema: str = SCHEMA


@dataclasses.dataclass(frozen=True)
class TargetRecord:
    """A backend on a device: "ready", or why not; with what it declares."""

    kind: ClassVar[str] = "target"
    backend: str
    device: str
    status: str
    reason: str
    framework: str
    versions: dict[str, str]
    conventions: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A clause on a target.

    Attributes:
        cases: cases judged; failures: of them, how many deviate; declined: cases that the clause could have used but the
            backend does not offer.
        ratio: worst error / bound over the judged cases; None where nothing was judged. Infinite ratios are the string "inf".
        message: one line for a person; no program reads it.
        evidence: of the shrunk case: the relation that is broken, where, and by how much.
        case: relative path of the case with the worst ratio; shrunk: of the smallest case that still deviates.
        known: the known deviations that cover it; empty unless every case that deviates is covered.
    """

    kind: ClassVar[str] = "finding"
    clause: str
    family: str
    level: str
    backend: str
    device: str
    verdict: str
    cases: int
    failures: int
    declined: int
    ratio: Ratio
    message: str = ""
    evidence: Evidence | None = None
    case: str | None = None
    shrunk: str | None = None
    known: tuple[KnownDeviation, ...] = ()


@dataclasses.dataclass(frozen=True)
class Incident:
    """A case that ended in no answer on a target: crashed, timeout, or an error where the conventions offers the case."""

    kind: ClassVar[str] = "incident"
    backend: str
    device: str
    case: str
    status: str
    step: int | None
    message: str


@dataclasses.dataclass(frozen=True)
class Timing:
    """One workload timed in one process, with the verdict of the outputs of the timed calls.

    Attributes:
        pass_name: what is called, e.g. "training", "training_gradients" (forward and backward), "inference"; in JSON it is
            called "pass".
        shape, dtype, channel_axis: of x.
        samples_ns: wall time of a call, in nanoseconds, synchronised and with the release of the call's earlier results;
            one sample is the mean of ``calls_per_sample`` calls in a row.
        median_ns: their median; first_ns: the first call of the process, compilation included.
        threads: how many the framework says it uses, where it says so.
        verdict, ratio: "conforms", "deviates", "rejected" (a probe has shown that the samples are not of the work),
            "unavailable", "declined", "error", "crashed", "timeout"; worst error / bound.
        workload, regime, scans: the workload's name, the values of its data, and the series that it is a point of.
        conditions: allocation, cache, mode and threads, as far as they are not the defaults.
        process: which process of the run, counted from 0: processes are what the statistics count.
        import_ns: opening the framework; compile_ns: compiling, as the framework says, or first call less median.
        dispatch_ns: the median time after which the call came back, before its results were there; None in blocks.
        page_faults_per_call: minor ones; peak_bytes: memory of a call beyond what was there before it.
        kernels: what the framework says it has run, with its share of the time.
        probes: each probe that was made, with what it objects to (nothing: "").
        moved_bytes: (read, written) that the pass cannot do without; streaming_bytes: when no cache keeps x.
    """

    kind: ClassVar[str] = "timing"
    backend: str
    device: str
    pass_name: str
    shape: tuple[int, ...]
    dtype: str
    channel_axis: int
    samples_ns: tuple[int, ...]
    median_ns: float | None
    first_ns: int | None
    threads: int | None
    verdict: str
    ratio: Ratio
    message: str = ""
    workload: str = ""
    regime: str = "ordinary"
    scans: tuple[str, ...] = ()
    conditions: dict[str, str | int] = dataclasses.field(default_factory=dict)
    process: int = 0
    calls_per_sample: int = 1
    import_ns: int | None = None
    compile_ns: int | None = None
    dispatch_ns: float | None = None
    page_faults_per_call: float | None = None
    peak_bytes: int | None = None
    kernels: dict[str, float] = dataclasses.field(default_factory=dict)
    probes: dict[str, str] = dataclasses.field(default_factory=dict)
    moved_bytes: tuple[int, int] | None = None
    streaming_bytes: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Roof:
    """How fast a device moved memory in one process of the run: bytes per second for each size of the buffer.

    Attributes:
        action: "copy" (bytes read and written are counted) or "read".
        threads: that moved it, 1 or as many as the targets had.
        sizes_bytes: of what is read; copy writes as much again.
    """

    kind: ClassVar[str] = "roof"
    device: str
    action: str
    threads: int
    process: int
    sizes_bytes: tuple[int, ...]
    bytes_per_second: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two contenders on one workload.

    Attributes:
        workload: its id; baseline, candidate: contenders, as ``contender`` writes them.
        pairs: processes of each, paired by round.
        ratio, low, high: time of the candidate over that of the baseline, and its interval at 95 %; None where unknown.
        q: after control of the false discoveries over all comparisons of the run.
        verdict: "FASTER", "SLOWER", "SAME" or "AMBIGUOUS", said of the candidate.
        more_processes: that would be expected to decide; 0 when decided, None when unknown.
        detectable: the ratio that as many pairs with this spread find four times in five.
    """

    kind: ClassVar[str] = "comparison"
    workload: str
    baseline: str
    candidate: str
    pairs: int
    ratio: float | None
    low: float | None
    high: float | None
    q: float
    verdict: str
    more_processes: int | None
    detectable: float | None


@dataclasses.dataclass(frozen=True)
class TargetFinished:
    """The target's share of the run is complete; ``cases`` by status, ``seconds`` by where the time went.

    Names in ``seconds`` that end in "_cpu" are processor time, which other work on the machine does not lengthen.
    """

    kind: ClassVar[str] = "target_finished"
    backend: str
    device: str
    cases: dict[str, int]
    seconds: dict[str, float]


@dataclasses.dataclass(frozen=True)
class RunFinished:
    """The last line of a run that was not cut short."""

    kind: ClassVar[str] = "run_finished"
    finished: str
    exit_status: int
    seconds: dict[str, float]


def contender(timing: Timing) -> str:
    """Who was timed under which conditions: ``torch.nn@cpu``, ``torch.nn@cpu[cache=cold,threads=1]``."""
    said = ",".join(f"{name}={timing.conditions[name]}" for name in sorted(timing.conditions))
    return target_name(timing) + (f"[{said}]" if said else "")


def workload_id(timing: Timing) -> str:
    """What was timed, as a word: ``training-4096x64-axis1-float32``."""
    word = f"{timing.pass_name}-{'x'.join(map(str, timing.shape))}-axis{timing.channel_axis}-{timing.dtype}"
    return word if timing.regime == "ordinary" else f"{word}-{timing.regime}"


def target_name(record: TargetRecord | Finding | Incident | Timing | TargetFinished) -> str:
    """How a target is written: ``backend@device``."""
    return f"{record.backend}@{record.device}"


Record = TargetRecord | Finding | Incident | Timing | Roof | Comparison | TargetFinished | RunFinished


def identity(record: Record) -> tuple[object, ...]:
    """What tells a record from the others of its kind: a later one with the same identity takes its place."""
    match record:
        case Finding():
            return record.clause, record.backend, record.device
        case Incident():
            return record.case, record.step, record.backend, record.device
        case Timing():
            return workload_id(record), contender(record), record.process
        case Roof():
            return record.device, record.action, record.threads, record.process
        case Comparison():
            return record.workload, record.baseline, record.candidate
        case TargetRecord() | TargetFinished():
            return record.backend, record.device
        case RunFinished():
            return ()
