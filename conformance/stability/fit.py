"""Growth exponents read off measured errors: error ~ c t^p on log-log axes, robust, with an interval.

Given a matrix of errors in units (points of a sweep by replicates), its curve is the median over replicates.

    floor       the least of the curve's first POINTS points, at least RESOLUTION
    saturated   from the first point on whose relative error is SATURATED or more: nothing is left to lose there
    region      the points before saturation that lie above FLOOR_FACTOR floors
    exponent    Theil and Sen: the median slope of all pairs of points of the region
    interval    5 % to 95 % of the exponents of BOOTSTRAPS resamples of the replicates, region chosen anew each time

A region of fewer than POINTS points is "flat" where the curve stays below FLOOR_FACTOR floors to its end. Otherwise it leaves
them too fast, or too late, to be fitted: then there is no exponent, "few"; or, on request, that of the ``whole`` curve before
saturation, which is small where the growth is slow all along, as a logarithm's is.

Source: Sen 1968, "Estimates of the regression coefficient based on Kendall's tau"; Efron 1979 for the bootstrap.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

Array = np.ndarray

#: From this fraction of 1 on, an error no longer follows its law: 1/8 leaves the law of inv_std, linear to 1/2 of it or so.
SATURATED = 0.125
#: Points that a law needs: two for its constants and one for its exponent.
POINTS = 3
#: The midpoints between the exponents: 0 and 1, and 1 and 2.
GROWS_FROM, STABLE_BELOW = 0.5, 1.5
#: In units: a correctly rounded result is off by 1/4 on average and by 1/2 at most; below, differences are luck.
RESOLUTION = 0.25
#: What lies within this factor of the floor is not growth.
FLOOR_FACTOR = 4.0
BOOTSTRAPS = 200


class Growth(NamedTuple):
    """An exponent, or why there is none.

    Attributes:
        kind: "fitted", "flat" or "few".
        exponent, low, high: of the fit; 0 when flat, NaN when few.
        points: how many the region has.
        onset: where the fitted line passes one unit; for "few" the first place above the floors; NaN where there is none.
    """

    kind: Literal["fitted", "flat", "few"]
    exponent: float
    low: float
    high: float
    points: int
    onset: float = math.nan


class Crossing(NamedTuple):
    """Where a curve first passes a level: ``at``, or None and the last place that was measured, ``beyond``."""

    at: float | None
    beyond: float


def curve_of(errors: Array) -> Array:
    """The median over the last axis, of the replicates that are there (NaN: none); an infinite error is larger than all others."""
    ordered = np.sort(errors, axis=-1)  # NaN last
    count = np.sum(~np.isnan(errors), axis=-1, keepdims=True)
    low, high = (
        np.take_along_axis(ordered, k, axis=-1) for k in (np.maximum(count - 1, 0) // 2, np.maximum(count, 1) // 2)
    )
    middle = np.where(low == high, low, (low + high) / 2.0)
    return np.asarray(np.where(count > 0, middle, np.nan)[..., 0])


def growth(places: Array, errors: Array, unit_roundoff: float, whole: bool = False, seed: int = 0) -> Growth:
    """The exponent of errors against places.

    Args:
        places: shape (P,), ascending and positive; errors: shape (P, R) in units, NaN where a replicate is missing.
        unit_roundoff: of the units; whole: fit the whole curve where its region is too small; seed: of the bootstrap.
    """
    there = ~np.isnan(errors).all(axis=1)
    places, errors = places[there], errors[there]
    if len(places) < POINTS:
        return Growth("few", math.nan, math.nan, math.nan, 0)
    curve = curve_of(errors)
    ceiling = SATURATED / unit_roundoff
    region, flat = _region(curve, ceiling, whole)
    if flat or region.sum() < POINTS:
        nothing = 0.0 if flat else math.nan
        onset = math.nan if flat else float(places[np.argmax(curve > FLOOR_FACTOR * _floor(curve))])
        return Growth("flat" if flat else "few", nothing, nothing, nothing, int(region.sum()), onset)
    x, y = _logs(places, curve, region)
    exponent = _slope(x, y)
    with np.errstate(over="ignore"):  # of a slope of nearly nothing
        onset = float(np.exp(-np.median(y - exponent * x) / exponent)) if exponent > 0.0 else math.nan
    rng, resampled = np.random.default_rng(seed), []
    replicates = errors.shape[1]
    for again in curve_of(errors[:, rng.integers(replicates, size=(BOOTSTRAPS, replicates))]).T:
        seen = ~np.isnan(again)
        region, _ = _region(again[seen], ceiling, whole)
        if region.sum() >= POINTS:
            resampled.append(_slope(*_logs(places[seen], again[seen], region)))
    low, high = np.percentile(resampled, [5.0, 95.0]) if resampled else (math.nan, math.nan)
    return Growth("fitted", exponent, float(low), float(high), len(x), onset)


def _region(curve: Array, ceiling: float, whole: bool) -> tuple[Array, bool]:
    """Which points are fitted, and whether the curve is flat."""
    floor = _floor(curve)
    before = np.cumsum(~(curve < ceiling)) == 0
    region = before & (curve > FLOOR_FACTOR * floor)
    flat = float(curve.max()) <= FLOOR_FACTOR * floor
    return (before if whole and region.sum() < POINTS else region), flat


def _floor(curve: Array) -> float:
    return max(float(np.min(curve[:POINTS])), RESOLUTION)


def _logs(places: Array, curve: Array, region: Array) -> tuple[Array, Array]:
    return np.log(places[region]), np.log(np.maximum(curve[region], RESOLUTION))


def _slope(x: Array, y: Array) -> float:
    """Theil and Sen's slope."""
    i, j = np.triu_indices(len(x), 1)
    return float(np.median((y[j] - y[i]) / (x[j] - x[i])))


def crossing(places: Array, curve: Array, level: float) -> Crossing:
    """Where the curve first reaches the level, interpolated on log-log axes; its first place where it starts above."""
    there = ~np.isnan(curve)
    places, curve = places[there], curve[there]
    if not len(places):
        return Crossing(None, math.nan)
    above = np.nonzero(~(curve < level))[0]
    if not above.size:
        return Crossing(None, float(places[-1]))
    k = int(above[0])
    if k == 0 or not np.isfinite(curve[k]):
        return Crossing(float(places[k]), float(places[-1]))
    x, y = np.log(places[k - 1 : k + 1]), np.log(np.maximum(curve[k - 1 : k + 1], RESOLUTION))
    share = 1.0 if y[1] <= y[0] else (math.log(level) - y[0]) / (y[1] - y[0])
    return Crossing(math.exp(x[0] + share * (x[1] - x[0])), float(places[-1]))


def stability_class(found: Growth, unit_roundoff: float) -> Literal[0, 1, 2] | None:
    """0, 1 or 2 from growth with kappa; None where it is not known.

        0   flat, or p < 1/2: rounding errors are those of the data's own rounding at most
        1   1/2 <= p < 3/2: two-pass, Welford, merged, shifted: error ~ kappa u
        2   p >= 3/2 from the start: E[x^2] - E[x]^2: error ~ kappa^2 u

    From the start: the fitted line passes one unit below kappa = u^(-1/4), the middle (of logarithms) between 1 and
    u^(-1/2). A growth with kappa^2 that starts later is of second order, as the variance of a stable algorithm has it from
    the square of the mean's error, (kappa u)^2 = (kappa^2 u) u, or that of wider accumulators: class 1. So is one that
    starts so late that it cannot be fitted.
    """
    late = is_late(found, unit_roundoff)
    if found.kind == "few":
        return 1 if late else None
    if found.exponent < GROWS_FROM:
        return 0
    return 2 if found.exponent >= STABLE_BELOW and not late else 1


def is_late(found: Growth, unit_roundoff: float) -> bool:
    """Whether there is growth that is not known to be like kappa, but starts only from kappa = u^(-1/4) on."""
    return not found.exponent < STABLE_BELOW and found.onset >= unit_roundoff**-0.25
