"""From points to curves, and from curves to the table: exponents, classes, and where half of the digits are gone."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from bnspec.conformance.stability.errors import OUTPUTS, REFERENCES
from bnspec.conformance.stability.fit import (
    Crossing,
    Growth,
    StabilityClass,
    crossing,
    curve_of,
    growth,
    is_late,
    stability_class,
)
from bnspec.conformance.stability.measuring import Point, PointStatus, Subject
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import TargetStatus

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Key:
    """The backend, form, dtype and output of a curve."""

    backend: str
    form: str
    dtype: str
    output: str


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Errors along a sweep.

    Attributes:
        places: shape (P,): the count, or the median kappa of the data as stored.
        errors: shape (P, R) in units, a replicate for each seed and channel; NaN where there is none.
        median, worst: over the replicates; bounds: medians of the specification's, by tier.
        dtype: of the output as it came back; its unit_roundoff is the units'.
    """

    places: Array
    errors: Array
    median: Array
    worst: Array
    bounds: dict[str, Array]
    dtype: str

    @property
    def unit_roundoff(self) -> float:
        """u of the dtype."""
        return PRECISIONS[self.dtype].unit_roundoff


@dataclasses.dataclass(frozen=True)
class Row:
    """The table's row: a backend's form, dtype and output.

    Attributes:
        p, q: growth with kappa and with the count; None where that was not measured.
        stored: the dtype in which the output came back, whose u the units are of.
        stability: the class, 0, 1 or 2; None where it is not known. late: growth starts late. sure: both ends of the interval of p
            give the same class.
        half: where half of the digits are gone: units 1/sqrt(u).
        least: the error at the smallest kappa, in units.
    """

    key: Key
    stored: str
    p: Growth | None
    q: Growth | None
    stability: StabilityClass | None
    late: bool
    sure: bool
    half: Crossing
    least: float

    def to_json(self) -> dict[str, Any]:
        """JSON-ready data: null where there is no number."""
        return {
            **dataclasses.asdict(self.key),
            "stored": self.stored,
            "class": self.stability,
            "late": self.late,
            "sure": self.sure,
            "p": _growth_json(self.p),
            "q": _growth_json(self.q),
            "kappa_half": self.half.at,
            "beyond": _finite(self.half.beyond),
            "least_units": _finite(self.least),
        }


def _growth_json(g: Growth | None) -> dict[str, Any] | None:
    if g is None:
        return None
    return {k: _finite(v) if isinstance(v, float) else v for k, v in g._asdict().items()}


def _finite(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def curves(points: Sequence[Point], sweep: str) -> dict[Key, Curve]:
    """Every curve of a sweep, in order of appearance."""
    grouped: dict[Key, dict[float, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        if point.spot.sweep == sweep and point.status == "ok":
            for output in point.errors:
                key = Key(point.subject, point.spot.form.name, point.spot.dtype, output)
                grouped[key][point.spot.asked].append(point)
    return {key: _curve(key, sweep, by_place) for key, by_place in grouped.items()}


def _curve(key: Key, sweep: str, by_place: dict[float, list[Point]]) -> Curve:
    asked = sorted(by_place)
    width = max(len(p.reached) * len(by_place[a]) for a in asked for p in by_place[a][:1])
    errors = np.full((len(asked), width), np.nan)
    bounds = {t: np.full((len(asked), width), np.nan) for t in REFERENCES}
    places = np.empty(len(asked))
    for i, a in enumerate(asked):
        hit = np.concatenate([p.reached for p in by_place[a]])
        kappa = np.concatenate([p.kappa for p in by_place[a]])[hit]
        places[i] = np.median(kappa) if sweep == "kappa" else a
        found = [p.errors[key.output] for p in by_place[a]]
        errors[i, : hit.sum()] = np.concatenate([e.rms for e in found])[hit]
        for tier in REFERENCES:
            bounds[tier][i, : hit.sum()] = np.concatenate([e.bounds[tier] for e in found])[hit]
    dtype = by_place[asked[0]][0].errors[key.output].dtype
    worst = np.nanmax(errors, axis=1)
    return Curve(places, errors, curve_of(errors), worst, {t: curve_of(b) for t, b in bounds.items()}, dtype)


def rows(points: Sequence[Point]) -> list[Row]:
    """The table: by form, dtype, output and backend, in the order in which they were measured."""
    with_kappa, with_count = curves(points, "kappa"), curves(points, "count")
    keys = sorted(dict.fromkeys((*with_kappa, *with_count)), key=_order(points))
    return [_row(key, with_kappa.get(key), with_count.get(key)) for key in keys]


def _order(points: Sequence[Point]) -> Any:
    forms, dtypes, backends = (
        list(dict.fromkeys(words))
        for words in zip(*((p.spot.form.name, p.spot.dtype, p.subject) for p in points), strict=True)
    )
    return lambda k: (
        forms.index(k.form), dtypes.index(k.dtype), OUTPUTS.index(k.output), backends.index(k.backend),
    )  # fmt: skip


def _row(key: Key, with_kappa: Curve | None, with_count: Curve | None) -> Row:
    q, stored = None, ""
    if with_count is not None:
        stored = with_count.dtype
        q = growth(with_count.places, with_count.errors, with_count.unit_roundoff, whole=True)
    if with_kappa is None:
        return Row(key, stored, None, q, None, False, False, Crossing(None, math.nan), math.nan)
    u = with_kappa.unit_roundoff
    p = growth(with_kappa.places, with_kappa.errors, u)
    half = crossing(with_kappa.places, with_kappa.median, u**-0.5)
    kind = stability_class(p, u)
    ends = {stability_class(p._replace(exponent=end), u) for end in (p.low, p.high)}
    sure = kind is not None and (p.kind == "flat" or (p.kind == "fitted" and ends == {kind}))
    return Row(key, with_kappa.dtype, p, q, kind, is_late(p, u), sure, half, float(with_kappa.median[0]))


@dataclasses.dataclass(frozen=True)
class Missing:
    """A backend, or a form and dtype of it, that was not measured, and why; both are empty for the whole backend."""

    backend: str
    form: str
    dtype: str
    status: PointStatus | TargetStatus
    message: str


def missing(
    subjects: Sequence[Subject], points: Sequence[Point], forms: Sequence[Any], dtypes: Sequence[str]
) -> list[Missing]:
    """Backends that did not open or cannot have the threads, forms and dtypes that they do not offer, and those with calls that failed."""
    found: list[Missing] = []
    ends: dict[tuple[str, str, str], list[Point]] = defaultdict(list)
    for p in points:
        ends[p.subject, p.spot.form.name, p.spot.dtype].append(p)
    for subject in subjects:
        if subject.hello.status != "ready":
            found.append(Missing(subject.name, "", "", subject.hello.status, subject.hello.reason))
            continue
        if subject.unset:
            found.append(Missing(subject.name, "", "", "declined", subject.unset))
            continue
        for form in forms:
            for dtype in dtypes:
                reason = subject.declines(form, dtype)
                if reason:
                    found.append(Missing(subject.name, form.name, dtype, "declined", reason))
                    continue
                bad = [p for p in ends[subject.name, form.name, dtype] if p.message and p.status != "unreachable"]
                if bad:
                    message = (
                        f"{len(bad)} points, the first at {bad[0].spot.sweep} {bad[0].spot.asked:.4g}: {bad[0].message}"
                    )
                    found.append(Missing(subject.name, form.name, dtype, bad[0].status, message))
    return found


@dataclasses.dataclass(frozen=True)
class Reach:
    """The largest kappa that data of a dtype can have; ``refused``: the smallest requested one that they cannot, or None."""

    dtype: str
    largest: float
    refused: float | None


def reach(points: Sequence[Point]) -> list[Reach]:
    """For each dtype."""
    found = []
    for dtype in dict.fromkeys(p.spot.dtype for p in points):
        of = [p for p in points if p.spot.dtype == dtype and p.spot.sweep == "kappa"]
        had = [float(p.kappa[p.reached].max()) for p in of if p.reached.any()]
        refused = {p.spot.asked for p in of} - {p.spot.asked for p in of if p.reached.any()}
        if had:
            found.append(Reach(dtype, max(had), min(refused, default=None)))
    return found
