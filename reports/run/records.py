"""The records of a run directory: what a run says, as plain data.

A run directory holds ``manifest.json`` (one Manifest), ``records.jsonl`` (one of the other records a line, append-only, each
with its ``kind``) and ``cases/*.json`` (saved cases, named by their id). Everything downstream reads only this.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec

from bnspec.model import names
from bnspec.reports.run.bits import Bits
from bnspec.reports.run.causes import Cause
from bnspec.reports.run.conventions import Convention, Translation
from bnspec.reports.run.evidence import Evidence, KnownDeviation
from bnspec.reports.run.fields import (
    LARGEST,
    Amount,
    BackendName,
    CasePath,
    Count,
    DeviceName,
    Dotted,
    Extent,
    Ordinal,
    Ratio,
    Tagged,
    Word,
)
from bnspec.reports.run.mutants import ClauseKills, KillMatrix, Mutant, Variant
from bnspec.reports.run.stability import NotMeasured, Reach, StabilityCurve, StabilityPoint
from bnspec.reports.run.vocabulary import (
    Clock,
    ComparisonVerdict,
    FindingVerdict,
    IncidentStatus,
    Level,
    MemoryAction,
    Probe,
    TargetStatus,
    TimingVerdict,
)

#: The version of the run directory. It moves with every change that an older reader would misread.
SCHEMA = "bnspec-run/2"


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


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was run, where and when. ``command`` is the command line that made the run; ``seed`` None: nothing was drawn."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$(?!\n)", max_length=names.CHARACTERS)]
    command: str
    started: str
    bnspec: Word
    seed: Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)] | None
    effort: str
    machine: dict[str, Any]
    packages: dict[str, str]
    options: dict[str, Any]
    schema: str = SCHEMA


class EnvironmentRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The environment of a target that does not live in that of the harness.

    Attributes:
        specification: what it was asked to hold, or the path of its Python; python: that one's version.
        lock: the hash of all that is installed in it, packages: their releases; both empty for a Python that was there.
    """

    specification: Word
    python: str
    lock: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{0,64}$(?!\n)")] = ""
    packages: dict[str, str] = {}


class TargetRecord(Tagged, frozen=True, tag="target", omit_defaults=True):
    """A backend on a device: "ready", or why not; with what it declares. A target that is not ready says why.

    ``environment``: None where it lives in that of the harness.
    ``ran_on``: the device, its driver and libraries, and the modes that change results, as far as they are told.
    """

    backend: BackendName
    device: DeviceName
    status: TargetStatus
    reason: str
    framework: str
    versions: dict[str, str]
    conventions: dict[str, Any]
    environment: EnvironmentRecord | None = None
    ran_on: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.status != "ready" and not self.reason:
            raise ValueError(f"the status is {self.status!r} without a reason: a target that is not ready says why")


class DeclinedCases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Cases of a clause that were declined for one reason."""

    reason: str
    cases: Ordinal


class Finding(Tagged, frozen=True, tag="finding"):
    """A clause on a target. What conforms was judged, and its ratio is at most 1; what deviates has a case that does, and a
    ratio above 1; what was not judged has neither cases nor a ratio.

    Attributes:
        cases: cases judged; failures: of them, how many deviate; declined: cases that the clause could have used but the
            backend does not offer, or that its declared conventions leave nothing to judge of; reasons: why, with a number each.
        ratio: worst error / bound over the judged cases; None where nothing was judged. Infinite ratios are the string "inf".
        message: one line for a person; no program reads it.
        evidence: of the shrunk case: the relation that is broken, where, and by how much.
        case: relative path of the case with the worst ratio; shrunk: of the smallest case that still deviates.
        known: the known deviations that cover it; empty unless every case that deviates is covered.
    """

    clause: Dotted
    family: Dotted
    level: Level
    backend: BackendName
    device: DeviceName
    verdict: FindingVerdict
    cases: Count
    failures: Count
    declined: Count
    ratio: Ratio
    message: str = ""
    evidence: Evidence | None = None
    case: CasePath | None = None
    shrunk: CasePath | None = None
    known: tuple[KnownDeviation, ...] = ()
    reasons: tuple[DeclinedCases, ...] = ()

    def __post_init__(self) -> None:
        ratio = ratio_value(self.ratio)
        if self.reasons and sum(r.cases for r in self.reasons) != self.declined:
            raise ValueError(f"the reasons do not account for the {self.declined} declined cases")
        if self.failures > self.cases:
            raise ValueError(f"{self.failures} of {self.cases} judged cases cannot deviate")
        if self.verdict == "conforms" and not (self.cases and not self.failures and ratio <= 1 and self.shrunk is None):
            raise ValueError("what conforms has judged cases, no failures, a ratio of at most 1 and no shrunk case")
        if self.verdict == "deviates" and not (self.failures and ratio > 1):
            raise ValueError("what deviates has failures and a ratio above 1")
        said = (self.cases, self.failures, self.ratio, self.evidence, self.case, self.shrunk)
        if self.verdict in ("declined", "not_exercised", "unavailable") and said != (0, 0, None, None, None, None):
            raise ValueError(f"what is {self.verdict} has no cases, failures, ratio or evidence")


class Incident(Tagged, frozen=True, tag="incident"):
    """A case that ended in no answer on a target: crashed, timeout, or an error: one where the conventions offer the case, or
    that the device's memory was full."""

    backend: BackendName
    device: DeviceName
    case: str
    status: IncidentStatus
    step: Count | None
    message: str


class Timing(Tagged, frozen=True, tag="timing"):
    """One workload timed in one process, with the verdict of the outputs of the timed calls. A median exists exactly where there
    are samples; what was not timed has neither samples nor a ratio.

    Attributes:
        pass_name: what is called, e.g. "training", "training_gradients" (forward and backward), "inference"; in JSON it is
            called "pass".
        shape, dtype, channel_axis: of x.
        samples_ns: time of a call on ``clock``, in nanoseconds, synchronised and with the release of the call's earlier results;
            one sample is the mean of ``calls_per_sample`` calls in a row.
        clock: "host" on every device, so that one quantity is compared; "" in runs from before it was recorded.
            clock_resolution_ns: the smallest step of it that was seen.
        device_ns: the median time of a call on the device's own clock, whose step is device_resolution_ns; None where it has
            none, or where the device waited for the host. pipelined_ns: of a call of many that were queued and waited for once.
        device_state: clocks, temperature, power and throttling after the samples, as far as the maker's library tells.
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

    backend: BackendName
    device: DeviceName
    pass_name: Word = msgspec.field(name="pass")
    shape: Annotated[tuple[Extent, ...], msgspec.Meta(max_length=32)]
    dtype: Word
    channel_axis: Count
    samples_ns: tuple[Count, ...]
    median_ns: Amount | None
    first_ns: Count | None
    threads: Ordinal | None
    verdict: TimingVerdict
    ratio: Ratio
    message: str = ""
    workload: str = ""
    regime: Word = "ordinary"
    scans: tuple[Word, ...] = ()
    conditions: dict[str, str | int] = {}
    process: Count = 0
    calls_per_sample: Ordinal = 1
    import_ns: Count | None = None
    compile_ns: Count | None = None
    dispatch_ns: Amount | None = None
    page_faults_per_call: Amount | None = None
    peak_bytes: Count | None = None
    kernels: dict[str, Amount] = {}
    probes: dict[Probe, str] = {}
    moved_bytes: tuple[Count, Count] | None = None
    streaming_bytes: tuple[Count, Count] | None = None
    clock: Clock = ""
    clock_resolution_ns: Amount | None = None
    device_ns: Amount | None = None
    device_resolution_ns: Amount | None = None
    pipelined_ns: Amount | None = None
    device_state: dict[str, Amount | str] = {}

    def __post_init__(self) -> None:
        ratio = ratio_value(self.ratio)
        if self.channel_axis >= len(self.shape):
            raise ValueError(f"x of shape {self.shape} has no axis {self.channel_axis}")
        if bool(self.samples_ns) != (self.median_ns is not None):
            raise ValueError("a median exists exactly where there are samples")
        if self.verdict == "conforms" and not (self.samples_ns and ratio <= 1):
            raise ValueError("timed outputs that conform have samples and a ratio of at most 1")
        if self.verdict == "deviates" and not ratio > 1:
            raise ValueError("timed outputs that deviate have a ratio above 1")
        if self.verdict in ("declined", "unavailable") and (self.samples_ns or self.ratio is not None):
            raise ValueError(f"what is {self.verdict} has neither samples nor a ratio")
        threads = self.conditions.get("threads", 1)
        if not isinstance(threads, int) or threads < 1:
            raise ValueError("the condition threads is a number of threads")


class Roof(Tagged, frozen=True, tag="roof"):
    """How fast a device moved memory in one process of the run: bytes per second for each size of the buffer.

    Attributes:
        action: "copy" (bytes read and written are counted) or "read".
        threads: that moved it, 1 or as many as the targets had.
        sizes_bytes: of what is read; copy writes as much again.
    """

    device: DeviceName
    action: MemoryAction
    threads: Ordinal
    process: Count
    sizes_bytes: Annotated[tuple[Ordinal, ...], msgspec.Meta(min_length=1)]
    bytes_per_second: Annotated[tuple[Annotated[float, msgspec.Meta(gt=0)], ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        if len(self.sizes_bytes) != len(self.bytes_per_second):
            raise ValueError("a roof has one speed for each size")


class Comparison(Tagged, frozen=True, tag="comparison"):
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

    workload: Word
    baseline: Word
    candidate: Word
    pairs: Count
    ratio: Annotated[float, msgspec.Meta(gt=0)] | None
    low: Amount | None
    high: Amount | None
    q: Annotated[float, msgspec.Meta(ge=0, le=1)]
    verdict: ComparisonVerdict
    more_processes: Count | None
    detectable: Annotated[float, msgspec.Meta(ge=1)] | None


class TargetFinished(Tagged, frozen=True, tag="target_finished"):
    """The target's share of the run is complete; ``cases`` by status, ``seconds`` by where the time went.

    Names in ``seconds`` that end in "_cpu" are processor time, which other work on the machine does not lengthen.
    """

    backend: BackendName
    device: DeviceName
    cases: dict[str, Count]
    seconds: dict[str, Amount]


class RunFinished(Tagged, frozen=True, tag="run_finished"):
    """The last line of a run that was not cut short."""

    finished: str
    exit_status: Annotated[int, msgspec.Meta(ge=0, le=255)]
    seconds: dict[str, Amount]


def contender(timing: Timing) -> str:
    """Who was timed under which conditions: ``torch.nn@cpu``, ``torch.nn@cpu[cache=cold,threads=1]``."""
    said = ",".join(f"{name}={timing.conditions[name]}" for name in sorted(timing.conditions))
    return target_name(timing) + (f"[{said}]" if said else "")


def workload_id(timing: Timing) -> str:
    """What was timed, as a word: ``training-4096x64-axis1-float32``."""
    word = f"{timing.pass_name}-{'x'.join(map(str, timing.shape))}-axis{timing.channel_axis}-{timing.dtype}"
    return word if timing.regime == "ordinary" else f"{word}-{timing.regime}"


def target_name(
    record: TargetRecord
    | Finding
    | Cause
    | Incident
    | Timing
    | TargetFinished
    | Convention
    | Translation
    | StabilityCurve
    | Bits,
) -> str:
    """How a target is written: ``backend@device``."""
    return f"{record.backend}@{record.device}"


Record = (
    TargetRecord
    | Finding
    | Cause
    | Incident
    | Timing
    | Roof
    | Comparison
    | Convention
    | Translation
    | StabilityCurve
    | StabilityPoint
    | NotMeasured
    | Reach
    | Mutant
    | Variant
    | ClauseKills
    | KillMatrix
    | Bits
    | TargetFinished
    | RunFinished
)


def identity(record: Record) -> tuple[object, ...]:
    """What tells a record from the others of its kind: a later one with the same identity takes its place."""
    match record:
        case Finding() | Cause():
            return record.clause, record.backend, record.device
        case Incident():
            return record.case, record.step, record.backend, record.device
        case Timing():
            return workload_id(record), contender(record), record.process
        case Roof():
            return record.device, record.action, record.threads, record.process
        case Comparison():
            return record.workload, record.baseline, record.candidate
        case Convention():
            return record.field, record.backend, record.device
        case Translation():
            return record.purpose, record.count, record.backend, record.device, record.to_backend, record.to_device
        case StabilityCurve():
            return record.output, record.dtype, record.form, record.backend, record.device, record.threads
        case StabilityPoint():
            spot = record.sweep, record.asked, record.seed, record.dtype, record.parameter_dtype, record.form
            return *spot, record.backend, record.device, record.threads
        case NotMeasured():
            return record.dtype, record.form, record.backend, record.device, record.threads
        case Reach():
            return (record.dtype,)
        case Mutant() | Variant():
            return (record.name,)
        case ClauseKills():
            return (record.clause,)
        case TargetRecord() | TargetFinished() | Bits():
            return record.backend, record.device
        case KillMatrix() | RunFinished():
            return ()
