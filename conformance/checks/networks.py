"""Checks of trajectories: every step of training a network that holds the layer."""

from __future__ import annotations

import dataclasses
import weakref

import numpy as np

from bnspec.arithmetic.quad import quad
from bnspec.conformance.cases.networks import VALUES, Drift, drift
from bnspec.conformance.checks.check import Check, everywhere
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import LEARN
from bnspec.model.case import Case
from bnspec.model.conventions import Conventions
from bnspec.model.observation import Observation
from bnspec.oracle.comparison import ratios_of
from bnspec.oracle.expected import TIERS, Expected
from bnspec.oracle.memoize import remembered
from bnspec.oracle.network import Tracked
from bnspec.oracle.network_case import Values, exact_step, usable


class Trajectory:
    """What an observation of a network is held against: the exact steps, each taken once."""

    def __init__(self, case: Case, observation: Observation, conventions: Conventions) -> None:
        self.case, self.results, self.conventions = case, observation.steps, conventions

    def before(self, i: int) -> Values | None:
        """The values before step i: those of the case, or those that the step before left."""
        if i == self.case.built_at(i):
            return {n: self.case.arrays[n] for n in VALUES}
        return self.results[i - 1].outputs if self.results[i - 1].status == "ok" else None

    @remembered
    def exact(self, i: int) -> dict[str, Tracked]:
        """The exact step from the values before it, with its bounds; nothing where these are not finite or misshapen."""
        before = self.before(i)
        return (
            {}
            if before is None or not usable(self.case, before)
            else exact_step(self.case, i, self.conventions, before)
        )

    @remembered
    def drift(self) -> Drift | None:
        """How far the trajectory ended from the exact one, where both have an end."""
        return drift(self.case, self.conventions, self.results, [self.exact(i) for i in range(len(self.results))])


#: The checks of one examination share its exact steps.
_TRAJECTORIES: weakref.WeakKeyDictionary[Examination, Trajectory] = weakref.WeakKeyDictionary()


def trajectory(exam: Examination) -> Trajectory:
    """The exact steps of an examination."""
    if exam not in _TRAJECTORIES:
        _TRAJECTORIES[exam] = Trajectory(exam.case, exam.observation, exam.conventions)
    return _TRAJECTORIES[exam]


def steps_as_defined(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """All values after the step, and the loss before it, within the bounds of the exact step; the message gives the drift."""
    found = _worst(exam, i, (*VALUES, "loss"))
    if found is None or (found.evidence is not None and found.evidence.relation == "shape"):
        return found
    return dataclasses.replace(found, message=str(trajectory(exam).drift() or found.message))


def bias_stays(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """The bias before the layer moves by no more than the rounding of a gradient that is 0."""
    return _worst(exam, i, ("b1",))


def _worst(exam: Examination, i: int, names: tuple[str, ...]) -> Judgement | None:
    expected, result = trajectory(exam).exact(i), exam.result(i)
    worst: Judgement | None = None
    for name in [n for n in names if n in expected]:
        got = result.outputs[name]
        value, error = expected[name]
        if got.shape != value.shape:
            return exam.misshapen(i, name, value.shape, got.shape)
        ratios = ratios_of(got, Expected(quad(value), dict.fromkeys(TIERS, error)), "lenient")
        ratios = np.where(np.isnan(ratios), -1.0, ratios)
        if ratios.max() >= 0.0 and (worst is None or ratios.max() > worst.ratio):
            worst = exam.worst_element(i, "within_bound", name, ratios, (value, got, np.asarray(error)))
    return worst


CHECKS = (
    Check("placement.trajectory", (LEARN,), steps_as_defined, everywhere),
    Check("placement.bias_has_no_gradient", (LEARN,), bias_stays, everywhere),
)
