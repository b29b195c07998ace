"""A study as records of a run directory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from bnspec.conformance.stability import fit
from bnspec.conformance.stability.measuring import Point, Subject
from bnspec.conformance.stability.run import Study
from bnspec.conformance.stability.study import Curve as MeasuredCurve
from bnspec.conformance.stability.study import Row, curves
from bnspec.model.precision import PRECISIONS
from bnspec.reports.run.records import Record, TargetRecord
from bnspec.reports.run.stability import Curve, Growth, NotMeasured, Reach, StabilityCurve, StabilityPoint
from bnspec.reports.run.targets import opened_target


def target_record(subject: Subject) -> TargetRecord:
    """What the target answered when it was opened."""
    return opened_target(subject.target.entry.name, subject.target.device, subject.hello)


def point_record(subject: Subject, point: Point) -> StabilityPoint:
    """One point: what ``Point.to_json`` says, with the target taken apart."""
    said = point.to_json()
    named = {"backend": subject.target.entry.name, "device": subject.target.device, "threads": subject.threads or None}
    return msgspec.convert({"kind": "stability_point", "message": "", **said, **named}, StabilityPoint)


def records(study: Study) -> Iterator[Record]:
    """What follows from the points: curves, what is missing, and how far the data reach."""
    by_name = {s.name: s for s in study.subjects}
    with_kappa, with_count = curves(study.points, "kappa"), curves(study.points, "count")
    for row in study.table:
        yield _curve(row, by_name[row.key.backend], with_kappa.get(row.key), with_count.get(row.key))
    for m in study.missing:
        s = by_name[m.backend]
        yield NotMeasured(
            s.target.entry.name, s.target.device, s.threads or None, m.form, m.dtype, m.status, m.message or m.status
        )
    for r in study.reach:
        yield Reach(r.dtype, r.largest, r.refused)


def _curve(
    row: Row, subject: Subject, with_kappa: MeasuredCurve | None, with_count: MeasuredCurve | None
) -> StabilityCurve:
    return StabilityCurve(
        backend=subject.target.entry.name,
        device=subject.target.device,
        threads=subject.threads or None,
        form=row.key.form,
        dtype=row.key.dtype,
        output=row.key.output,
        stored=row.stored,
        unit_roundoff=PRECISIONS[row.stored].unit_roundoff,
        stability_class=row.stability,
        late=row.late,
        sure=row.sure,
        p=_growth(row.p),
        q=_growth(row.q),
        kappa_half=row.half.at,
        beyond=_finite(row.half.beyond),
        least_units=None if math.isnan(row.least) else row.least,
        with_kappa=_errors(with_kappa),
        with_count=_errors(with_count),
    )


def _growth(growth: fit.Growth | None) -> Growth | None:
    if growth is None:
        return None
    exponent, low, high, onset = map(_finite, (growth.exponent, growth.low, growth.high, growth.onset))
    return Growth(growth.kind, exponent, low, high, growth.points, onset)


def _errors(curve: MeasuredCurve | None) -> Curve | None:
    if curve is None:
        return None
    bounds = curve.bounds["permissive"], curve.bounds["good"]
    return Curve(*map(_numbers, (curve.places, curve.median, curve.worst, *bounds)))


def _numbers(values: np.ndarray) -> tuple[float, ...]:
    """Six digits are more than are known."""
    return tuple(float(f"{v:.6g}") for v in values.tolist())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
