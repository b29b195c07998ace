"""Records of a stability study: every point, the curves over them, and what was not measured.

Errors are in units of u, the unit roundoff of the dtype in which the output came back, on a scale on which a well-conditioned
computation is off by about 1.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from bnspec.reports.run.fields import Amount, BackendName, Count, DeviceName, Number, Ordinal, Tagged, Word
from bnspec.reports.run.vocabulary import GrowthKind, PointStatus, Sweep

Positive = Annotated[float, msgspec.Meta(gt=0)]


class Growth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An exponent, or why there is none.

    Attributes:
        kind: "fitted", "flat" or "few" (too few points).
        exponent, low, high: of the fit, with its interval from 5 % to 95 %; 0 when flat, None when few.
        points: how many were fitted; onset: where the fitted line passes one unit, where it does.
    """

    kind: GrowthKind
    exponent: float | None
    low: float | None
    high: float | None
    points: Count
    onset: float | None = None

    def __post_init__(self) -> None:
        if self.kind == "fitted" and None in (self.exponent, self.low, self.high):
            raise ValueError("an exponent that was fitted has its value and its interval")


class Curve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Errors along a sweep; all arrays have one number for each place.

    Attributes:
        places: the kappa of the data as stored, or the count.
        median, worst: over seeds and channels.
        permissive, good: the specification's bounds for the same data, medians.
    """

    places: tuple[Positive, ...]
    median: tuple[Number, ...]
    worst: tuple[Number, ...]
    permissive: tuple[Number, ...]
    good: tuple[Number, ...]

    def __post_init__(self) -> None:
        if len({len(getattr(self, name)) for name in self.__struct_fields__}) != 1:
            raise ValueError("a curve has an error and two bounds for each place")


class StabilityCurve(Tagged, frozen=True, tag="stability_curve"):
    """How the error of one output grows.

    Attributes:
        threads: of the worker; None: what its environment says.
        form, dtype: of x; output: what is measured; stored: the dtype in which it came back.
        unit_roundoff: of ``stored``: the errors' unit.
        stability_class: 0, 1 or 2: the error grows not at all, like kappa, or like kappa squared; in JSON it is called "class".
        late: it grows only from kappa = u^(-1/4) on; sure: both ends of the interval of p give the same class.
        p, q: growth with kappa and with the count; None where that was not measured.
        kappa_half: the kappa at which half of the digits are gone; None where that is beyond the last kappa, ``beyond``.
        least_units: the error at the smallest kappa.
        with_kappa, with_count: the curves.
    """

    backend: BackendName
    device: DeviceName
    threads: Ordinal | None
    form: Word
    dtype: Word
    output: Word
    stored: Word
    unit_roundoff: Positive
    stability_class: Literal[0, 1, 2] | None = msgspec.field(name="class")
    late: bool
    sure: bool
    p: Growth | None
    q: Growth | None
    kappa_half: Positive | None
    beyond: Positive | None
    least_units: Number | None
    with_kappa: Curve | None
    with_count: Curve | None

    def __post_init__(self) -> None:
        if self.with_kappa is None and (self.p is not None or self.stability_class is not None):
            raise ValueError("a class and an exponent p need a curve against kappa")


class OutputErrors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output at one point, numbers per channel.

    Attributes:
        dtype: in which it came back, and whose unit roundoff the units are of.
        rms, largest: error over the elements of the channel; permissive, good: the specification's bounds.
    """

    dtype: Word
    rms: tuple[Number, ...]
    largest: tuple[Number, ...]
    permissive: tuple[Number, ...]
    good: tuple[Number, ...]


class StabilityPoint(Tagged, frozen=True, tag="stability_point"):
    """One point of a sweep on one target.

    Attributes:
        sweep, asked: what grows, and the value that was asked for; seed, count: of the data.
        form, dtype: of x; parameter_dtype: of the parameters.
        status, message: how it ended; "ok" has a message where one of its two calls failed.
        kappa: of each channel as stored; reached: whether that is what was asked.
        outputs: errors by output; empty unless "ok".
    """

    backend: BackendName
    device: DeviceName
    threads: Ordinal | None
    sweep: Sweep
    asked: Positive
    form: Word
    dtype: Word
    parameter_dtype: Word
    seed: int
    count: Ordinal
    status: PointStatus
    message: str
    kappa: tuple[Number, ...]
    reached: tuple[bool, ...]
    outputs: dict[str, OutputErrors]

    def __post_init__(self) -> None:
        if self.status != "ok" and (self.outputs or not self.message):
            raise ValueError(f"a point that ended as {self.status!r} has a message and no outputs")


class NotMeasured(Tagged, frozen=True, tag="not_measured"):
    """What was not measured of a target, and why; form and dtype are empty where all of it is meant."""

    backend: BackendName
    device: DeviceName
    threads: Ordinal | None
    form: str
    dtype: str
    status: Word
    message: Word


class Reach(Tagged, frozen=True, tag="reach"):
    """Up to which kappa data of a dtype could be made, and from where on not; ``refused`` is None where all could."""

    dtype: Word
    largest: Amount
    refused: Positive | None


def subject(record: StabilityCurve | StabilityPoint | NotMeasured) -> str:
    """How the measured target is called: the backend, with its device and threads where they are not the usual ones."""
    device = "" if record.device == "cpu" else f"@{record.device}"
    return record.backend + device + (f" x{record.threads}" if record.threads else "")
