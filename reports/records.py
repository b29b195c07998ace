"""The records of a run directory: what a run says, as plain data.

A run directory holds ``manifest.json`` (one Manifest), ``records.jsonl`` (one of the other records a line, append-only, each
with its ``kind``) and ``cases/*.json`` (saved cases, named by their id). Everything downstream reads only this.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

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
    profile: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A clause on a target.

    Attributes:
        cases: cases judged; failures: of them, how many deviate; declined: cases that the clause could have used but the
            backend does not offer.
        ratio: worst error / bound over the judged cases; None where nothing was judged. Infinite ratios are the string "inf".
        message: one line for a person.
        evidence: of the worst element of the shrunk case: step, call, output, index, expected, got, bound, ratio.
        case: relative path of the case with the worst ratio; shrunk: of the smallest case that still deviates.
        known: the class and reason of the known deviation that covers it, or empty.
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
    evidence: dict[str, Any] | None = None
    case: str | None = None
    shrunk: str | None = None
    known: str = ""


@dataclasses.dataclass(frozen=True)
class Incident:
    """A case that ended in no answer on a target: crashed, timeout, or an error where the profile offers the case."""

    kind: ClassVar[str] = "incident"
    backend: str
    device: str
    case: str
    status: str
    step: int | None
    message: str


@dataclasses.dataclass(frozen=True)
class Timing:
    """One timed cell, with the verdict of the outputs of the timed calls.

    Attributes:
        pass_name: "training", "training_gradients" (forward and backward) or "inference"; in JSON it is called "pass".
        shape, dtype, channel_axis: of x.
        samples_ns: wall time of each timed call, in nanoseconds, synchronised.
        median_ns: their median; first_ns: the first call, compilation included.
        threads: how many the framework says it uses, where it says so.
        verdict, ratio: "conforms", "deviates", "unavailable", "declined", "error", "crashed", "timeout"; worst error / bound.
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


def target_name(record: TargetRecord | Finding | Incident | Timing | TargetFinished) -> str:
    """How a target is written: ``backend@device``."""
    return f"{record.backend}@{record.device}"


Record = TargetRecord | Finding | Incident | Timing | TargetFinished | RunFinished


def identity(record: Record) -> tuple[object, ...]:
    """What tells a record from the others of its kind: a later one with the same identity takes its place."""
    match record:
        case Finding():
            return record.clause, record.backend, record.device
        case Incident():
            return record.case, record.step, record.backend, record.device
        case Timing():
            workload = (record.pass_name, record.shape, record.dtype, record.channel_axis)
            return *workload, record.backend, record.device
        case TargetRecord() | TargetFinished():
            return record.backend, record.device
        case RunFinished():
            return ()
