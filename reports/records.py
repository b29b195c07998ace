"""The records of a run directory: what a run says, as plain data.

A run directory holds ``manifest.json`` (one Manifest), ``records.jsonl`` (one of the other records a line, append-only, each
with its ``kind``) and ``cases/*.json`` (saved cases, named by their id). Everything downstream reads only this.
"""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What was run, where and when. ``kind`` of the whole: "verify", "bench" or "report"."""

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
    ratio: float | str | None
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
    ratio: float | str | None
    message: str = ""


@dataclasses.dataclass(frozen=True)
class TargetFinished:
    """The target's share of the run is complete; ``cases`` by status, ``seconds`` by where the time went."""

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


Record = TargetRecord | Finding | Incident | Timing | TargetFinished | RunFinished
