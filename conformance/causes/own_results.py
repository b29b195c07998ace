"""A layer's results against its own: whether a feature of the case changes what it gives, whatever is right.

A layer that is wrong everywhere breaks the clauses of every feature, too. They speak of the feature only if the layer's results
with it differ from its own results without it, beyond the roundings of both.

Roundings are bounded as those of a right layer are: by the bound of the exact result, times |result| / |exact result| where a wrong
layer gives larger results, since roundings grow with what is rounded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from bnspec.conformance.causes.arrays import with_arrays
from bnspec.conformance.causes.layouts import LAYOUTS
from bnspec.conformance.causes.parameters import with_other_epsilon
from bnspec.conformance.checks.examination import Examination
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.model.precision import PRECISIONS
from bnspec.model.vocabulary import Tier
from bnspec.oracle.oracle import Oracle

#: A result is run again so often, and is scattered where its runs differ by this part of the error.
RUNS, PART_OF_ERROR = 8, 0.25
#: Features that change no result of a correct layer but in its roundings.
INVARIANT = LAYOUTS | {"layout of the parameters", "dtype", "threads", "rank"}


@dataclasses.dataclass(frozen=True)
class _Result:
    """An output or a statistic: its values as rows of one for each channel, (n, C), the roundings that each channel may have, (C,), and the exact values."""

    values: np.ndarray
    room: np.ndarray
    exact: np.ndarray


@dataclasses.dataclass(frozen=True)
class OwnResults:
    """What a target gives for cases, by its conventions."""

    observe: Callable[[Case], Observation]
    conventions: Conventions

    def differ(self, case: Case, ordinary: Case, step: int, output: str, tier: Tier = "lenient") -> bool:
        """Whether an output of a call differs between two cases of equal values; only finite channels count. ``tier``: of the bounds."""
        a, b = (self._result(c, step, output, tier) for c in (case, ordinary))
        return (
            a is not None
            and b is not None
            and a.values.shape == b.values.shape
            and _apart(a.values, b.values, a.room + b.room)
        )

    def scale_by_gamma(self, case: Case, step: int) -> bool:
        """Whether y follows from the layer's own y with gamma 1 and beta 0: y = gamma * own y + beta.

        True also where that cannot be said, as of fewer than three values, which always are on one line, and where y is no scaled and shifted normalised value at all: then it is not the scale that
        is wrong.
        """
        if not all(n in case.arrays for n in ("gamma", "beta")):
            return True
        like = case.arrays["gamma"]
        gamma = np.resize([0.5, -0.25, 0.75], like.shape).astype(like.dtype)
        beta = np.resize([0.25, -0.5], like.shape).astype(like.dtype)
        plain = with_arrays(case, {"gamma": np.ones_like(like), "beta": np.zeros_like(like)})
        other = with_arrays(case, {"gamma": gamma, "beta": beta})
        if plain is None or other is None:
            return True
        own, got = (self._result(c, step, "y") for c in (plain, other))
        if own is None or got is None or own.values.shape != got.values.shape or len(own.values) < 3:
            return True
        scale, shift = gamma.astype(np.float64), beta.astype(np.float64)
        with np.errstate(all="ignore"):
            expected = own.values * scale + shift
            evaluated = 2.0 * PRECISIONS["float64"].unit_roundoff * np.abs(expected).max(0, initial=0.0)
            if not _apart(got.values, expected, np.abs(scale) * own.room + got.room + evaluated):
                return True
        return not all(_is_affine(r, own.exact) for r in (own, got))

    def heed_epsilon(self, case: Case, step: int) -> bool:
        """Whether y depends on epsilon where it is as large as the variance.

        True also where that cannot be said, as where y is beta: that of constants is, whatever epsilon is.
        """
        small, large = (with_other_epsilon(case, e) for e in (1.0, 16.0))
        if small is None or large is None:
            return True
        results = [self._result(c, step, "y") for c in (small, large)]
        shift = case.arrays["beta"].astype(np.float64) if case.config.affine else 0.0
        if any(r is None or (r.values == shift).all() for r in results):
            return True
        return self.differ(small, large, step, "y")

    def scatters(self, case: Case, step: int, output: str) -> bool:
        """Whether a result differs from run to run by as much as it is wrong: then no experiment says what its error needs."""
        runs = [r for r in (self._result(case, step, output) for _ in range(RUNS)) if r is not None]
        if len(runs) < RUNS or len({r.values.shape for r in runs}) > 1:
            return False
        with np.errstate(all="ignore"):
            values = np.stack([r.values for r in runs])
            spread, error = np.ptp(values, axis=0), np.abs(values - runs[0].exact).max(0)
            known = np.isfinite(error)
            return bool(known.any() and spread[known].max() >= PART_OF_ERROR * error[known].max() > 0)

    def _result(self, case: Case, step: int, output: str, tier: Tier = "lenient") -> _Result | None:
        """An output or a statistic of a call; None where there is none, or nothing is said of it."""
        observation = self.observe(case)
        if step >= len(observation.steps) or observation.steps[step].status != "ok":
            return None
        exam = Examination(case, observation, self.conventions, Oracle(case))
        expected, got = exam.expected(step).get(output), exam.got(step, output)
        if expected is None or got is None or got.shape != expected.value.shape or not got.size:
            return None
        arrays = got.astype(np.float64), expected.rounded, np.broadcast_to(expected.bounds[tier], got.shape)
        values, exact, bound = (_rows(a, case) for a in arrays)
        with np.errstate(all="ignore"):
            size, right = (np.abs(a).max(0) for a in (values, exact))
            return _Result(values, bound.max(0) * np.where(size > right, size / right, 1.0), exact)


def _apart(a: np.ndarray, b: np.ndarray, room: np.ndarray) -> bool:
    """Whether two results differ by more in a channel in which all is finite."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(a).all(0) & np.isfinite(b).all(0) & np.isfinite(room)
        return bool((finite & (np.abs(a - b).max(0, initial=0.0) > room)).any())


def _is_affine(result: _Result, plain: np.ndarray) -> bool:
    """Whether a result is one line per channel over the exact normalised values: through its least and its largest, within roundings.

    Both ends have the roundings of the result, of which a value between them takes a mean, and the value has its own: 2 room. In
    float64, with plain's own rounding, the part takes 4 roundings of plain's magnitude over its span, the line 3 of its own.
    """
    channels, u = np.arange(plain.shape[1]), PRECISIONS["float64"].unit_roundoff
    low, high = plain.argmin(0), plain.argmax(0)
    with np.errstate(all="ignore"):
        ends = result.values[low, channels], result.values[high, channels]
        rise, span = ends[1] - ends[0], plain[high, channels] - plain[low, channels]
        line = ends[0] + np.nan_to_num((plain - plain[low, channels]) / span) * rise
        of_part = np.nan_to_num(np.abs(plain).max(0) / span * np.abs(rise), posinf=0.0)
        evaluated = u * (4.0 * of_part + 3.0 * (np.abs(ends[0]) + np.abs(rise)))
        return not _apart(result.values, line, 2.0 * result.room + evaluated)


def _rows(array: np.ndarray, case: Case) -> np.ndarray:
    """One value for each channel in a row."""
    lanes = np.moveaxis(array, case.config.channel_axis, -1) if array.ndim == case.config.rank else array
    return lanes.reshape(-1, case.config.channels)
