"""What an implementation is, read off its errors: how they grow with kappa = |mean| / std, and with the count.

Errors are given in units of the unit roundoff u, as |result - exact| / (u * scale): of the normalised value (scale 1) for
growth with kappa, of the batch mean (scale mean |x|) for growth with the count.

    with kappa    stable     error / u ~ a + b kappa      two-pass, Welford, merged, shifted by a sample
                  one-pass   error / u ~ a + b kappa^2    E[x^2] - E[x]^2
    with count    constant       wider accumulators, compensated sums
                  logarithmic    pairwise, trees, blocks in a tree
                  linear         one after the other, in a fixed number of lanes

The rule for both is the midpoint between the laws: an exponent is fitted, and the nearer whole number decides.

Known limitations: growth with the count shows only on data whose roundings do not cancel (values of one sign, best all
equal). On random data a linear algorithm grows like the root of the count, which is on the border; and a logarithmic one may
look constant: its grade can only be raised by worse data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

KappaGrade = Literal["stable", "one-pass", "undetermined"]
CountGrade = Literal["constant", "logarithmic", "linear", "undetermined"]

#: From this fraction of 1 on, an error no longer follows its law: 1/8 leaves the law of inv_std, linear to 1/2 of it or so.
SATURATED = 0.125
#: Points that a law needs: two for its constants and one for its exponent.
POINTS = 3
#: Exponents are fitted on a grid of this step.
STEP = 0.05
#: Between the exponents 1 (stable) and 2 (one-pass).
STABLE_BELOW = 1.5
#: Between the exponents 0 and 1, of the count and of its logarithm.
GROWS_FROM = 0.5


class KappaGrowth(NamedTuple):
    """The grade, the exponent p of error ~ a + b kappa^p, and the kappa from which half of the digits are gone (or inf)."""

    grade: KappaGrade
    exponent: float
    half_digits: float


def grade_by_kappa(kappas: Sequence[float], errors: Sequence[float], unit_roundoff: float) -> KappaGrowth:
    """How errors grow with kappa.

    The floor a is the smallest error; b and p minimise the squared deviations of log(error) from log(a + b kappa^p), over
    the points before the first error that is saturated (SATURATED / u, infinite or NaN). Errors that stay within the floor's
    factor 2 have exponent 0.

    Args:
        kappas: positive; errors: of the same length, in units of u; the worst of several cases at each kappa, say.
    """
    k, e = _sorted(kappas, errors)
    lost = np.nonzero(~(e < 1.0 / math.sqrt(unit_roundoff)))[0]
    half = float(k[lost[0]]) if lost.size else math.inf
    saturated = np.nonzero(~(e < SATURATED / unit_roundoff))[0]
    if saturated.size:
        k, e = k[: saturated[0]], e[: saturated[0]]
    if len(k) < POINTS:
        return KappaGrowth("undetermined", math.nan, half)
    e = np.maximum(e, SATURATED)  # an error of 0 is luck, and has no logarithm
    floor = float(e.min())
    if float(e.max()) <= 2.0 * floor:
        return KappaGrowth("stable", 0.0, half)
    exponent = min(np.arange(0.0, 3.0 + STEP / 2.0, STEP), key=lambda p: _misfit(k, e, floor, float(p)))
    return KappaGrowth("stable" if exponent < STABLE_BELOW else "one-pass", float(exponent), half)


def grade_by_count(counts: Sequence[int], errors: Sequence[float]) -> CountGrade:
    """How errors grow with the count: the exponent of the count, and if that is small, the exponent of its logarithm.

    An error below one unit is no growth: it counts as one. So do not errors that are not finite: then nothing is determined.

    Args:
        counts: at least 2, spanning a factor of 16 or more; errors: in units of u, the worst of several cases.
    """
    m, e = _sorted(counts, errors)
    if len(m) < POINTS or not np.isfinite(e).all() or m[-1] < 16.0 * m[0]:
        return "undetermined"
    logs = np.log(np.maximum(e, 1.0))
    if _slope(np.log(m), logs) >= GROWS_FROM:
        return "linear"
    return "logarithmic" if _slope(np.log(np.log2(m)), logs) >= GROWS_FROM else "constant"


def _sorted(points: Sequence[float], errors: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(np.asarray(points, np.float64), kind="stable")
    return np.asarray(points, np.float64)[order], np.asarray(errors, np.float64)[order]


def _misfit(k: np.ndarray, e: np.ndarray, floor: float, p: float) -> float:
    """The least sum of squares for this exponent; b is tried at the value that each point asks for."""
    powers = k**p
    return min(float(np.sum(np.square(np.log(e / (floor + b * powers))))) for b in e / powers)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """The least-squares slope of y against x."""
    centred = x - x.mean()
    return float((centred * y).sum() / (centred * centred).sum())
