"""Checks of relations between two calls of one case: no exact value is asked, only the bounds of both results.

|second - follows(first)|  <=  bound of second + follows(bound of first)
"""

from __future__ import annotations

import math

import numpy as np

from bnspec.conformance.checks.check import Check, Domain, Judge, everywhere, never, only_if
from bnspec.conformance.checks.examination import Examination, Mask
from bnspec.conformance.checks.judgement import Judgement
from bnspec.model.call import INFERENCE, INFERENCE_GRADIENTS, TRAINING, TRAINING_GRADIENTS
from bnspec.model.case import Step
from bnspec.model.relations import RELATIONS, Relation
from bnspec.oracle.comparison import leaves_range
from bnspec.oracle.oracle import effective_epsilon

CALLS = (TRAINING_GRADIENTS, INFERENCE_GRADIENTS, TRAINING, INFERENCE)


def relation_of(step: Step) -> tuple[str, float]:
    """The name of a step's relation, and its number."""
    name, _, number = str(step.option("relation", "")).partition(":")
    return name, float(number or 1.0)


def of_relation(name: str) -> Domain:
    """The steps that have this relation."""
    return only_if(lambda case, step: relation_of(step)[0] == name)


def first_of(exam: Examination, i: int) -> int | None:
    """The call that step i is related to: the first of its kind without a relation of its own, if it ended well."""
    call = exam.step(i).call
    for j in range(i):
        if exam.step(j).call == call and not exam.step(j).option("relation"):
            return j if exam.result(j).status == "ok" else None
    return None


def follows(name: str, relation: Relation) -> Judge:
    """The judgement that results follow by the relation."""

    def judge(exam: Examination, i: int, channels: Mask) -> Judgement | None:
        said, k = relation_of(exam.step(i))
        j = first_of(exam, i) if said == name else None
        if j is None or any(exam.case.built_at(n) != n for n in (i, j)):
            return None  # each begins a layer: one that has been called has another state
        if not PREMISES.get(name, _always)(exam, i, j, k):
            return None
        worst: Judgement | None = None
        for output in relation.follows:
            found = related(exam, i, j, output, relation, k)
            if found is not None and (worst is None or found.ratio > worst.ratio):
                worst = found
        return worst

    return judge


def _always(exam: Examination, i: int, j: int, k: float) -> bool:
    return True


def _epsilon(exam: Examination, i: int) -> float:
    """The epsilon in force, as the backend says that it receives it."""
    return effective_epsilon(exam.built(i).config.epsilon, exam.conventions)


def _wide(exam: Examination, i: int) -> np.ndarray:
    return np.asarray(exam.case.arrays[exam.step(i).inputs[0]].astype(np.float64))


def is_scaled(exam: Examination, i: int, j: int, k: float) -> bool:
    """Whether x is k times the other, and epsilon k^2 times the other, without rounding."""
    return _epsilon(exam, i) == _epsilon(exam, j) * k * k and np.array_equal(_wide(exam, i), _wide(exam, j) * k)


def is_shifted(exam: Examination, i: int, j: int, k: float) -> bool:
    """Whether x is the other plus k, without rounding."""
    return np.array_equal(_wide(exam, i) - k, _wide(exam, j)) and np.array_equal(_wide(exam, j) + k, _wide(exam, i))


def is_same_sum(exam: Examination, i: int, j: int, k: float) -> bool:
    """Whether running variance and epsilon add up to the same, without rounding."""
    a, b = (exam.built(n).arrays["running_var"].astype(np.float64) for n in (i, j))
    return np.array_equal(a - b, np.full(a.shape, _epsilon(exam, j) - _epsilon(exam, i)))


#: What must be true of the arguments, beyond how they were made, for the relation to be asked.
PREMISES = {"scaled": is_scaled, "shifted": is_shifted, "moved_epsilon": is_same_sum}


def divides_otherwise(exam: Examination, i: int) -> str:
    """Why a batch that holds every value twice has another variance: 2 S / (2 m - 1), not S / (m - 1)."""
    asked = relation_of(exam.step(i))[0] == "twice" and exam.step(i).call.mode == "training"
    if asked and exam.conventions.normalising_correction:
        return "with normalising_correction 1 a batch that holds every value twice has another variance"
    return ""


#: Relations that do not hold under some conventions.
DECLINES = {"twice": divides_otherwise}


def related(exam: Examination, i: int, j: int, output: str, relation: Relation, k: float) -> Judgement | None:
    """The worst ratio of one output; None where either bound is infinite everywhere, or one of them is missing."""
    got, base = exam.got(i, output), exam.got(j, output)
    ours, theirs = exam.expected(i).get(output), exam.expected(j).get(output)
    if got is None or base is None or ours is None or theirs is None or base.shape != theirs.value.shape:
        return None
    config, follow = exam.built(j).config, relation.follows[output]
    wanted = follow(base.astype(np.float64), config, k)
    if got.shape != wanted.shape:
        return exam.misshapen(i, output, wanted.shape, got.shape)
    limit = theirs.bounds["lenient"]
    with np.errstate(all="ignore"):
        bound = ours.bounds["lenient"] + np.abs(follow(limit, config, k))
        difference = np.abs(got.astype(np.float64) - wanted)
        ratio = np.where(difference == 0.0, 0.0, difference / bound)
        ratio = np.where(np.isnan(ratio), math.inf, ratio)
        both_lost = ~np.isfinite(got.astype(np.float64)) & ~np.isfinite(wanted)
        # where the first result has left its range, nothing follows from it: NaN marks these elements for ``follow``
        unknown = np.isnan(follow(np.where(leaves_range(base, theirs.rounded, limit), np.nan, 0.0), config, k))
    silent = ~np.isfinite(bound) | np.isnan(ours.rounded) | both_lost | unknown | leaves_range(got, wanted, bound)
    ratio = np.where(silent, -1.0, ratio)
    if ratio.size == 0 or float(ratio.max()) < 0.0:
        return None
    message = f"{output} does not follow from that of step {j}"
    return exam.worst_element(i, "agrees", output, ratio, (wanted, got, bound), message, j)


def mean_of_output(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """In each channel the mean of y is beta, within the mean of y's bounds."""
    if exam.frozen(i):
        return None
    config, y = exam.built(i).config, exam.got(i, "y")
    beta = exam.built(i).arrays.get("beta", np.zeros(config.channels)).astype(np.float64)
    return _sums(exam, i, "y", y, beta, np.mean)


def sum_of_dx(exam: Examination, i: int, channels: Mask) -> Judgement | None:
    """In each channel dx sums to 0, within the sum of its bounds."""
    if exam.frozen(i):
        return None
    return _sums(exam, i, "dx", exam.got(i, "dx"), np.zeros(exam.built(i).config.channels), np.sum)


def _sums(
    exam: Examination, i: int, name: str, got: np.ndarray | None, wanted: np.ndarray, total: object
) -> Judgement | None:
    expected, config = exam.expected(i).get(name), exam.built(i).config
    if got is None or expected is None or got.shape != expected.value.shape or not got.size:
        return None
    assert callable(total)
    with np.errstate(all="ignore"):
        wide, limit = got.astype(np.float64), expected.bounds["lenient"]
        # the sum's own rounding in float64 is counted too
        rounding = 2.0**-53 * got.size / config.channels * total(np.abs(wide), axis=config.reduce_axes)
        bound = total(limit, axis=config.reduce_axes) + rounding
        result = total(wide, axis=config.reduce_axes)
        error = np.abs(result - wanted)
        ratio = np.where(error == 0.0, 0.0, error / bound)
    # an element of which nothing is said may be anything, and so may the sum
    said = np.isfinite(bound) & np.isfinite(wide).all(axis=config.reduce_axes)
    said &= ~np.isnan(expected.rounded).any(axis=config.reduce_axes)
    if not said.any():
        return None
    ratio = np.where(said & ~np.isnan(ratio), ratio, 0.0)
    channel = int(ratio.argmax())
    what = "mean of y is off beta" if name == "y" else "sum of dx is off 0"
    message = f"in channel {channel} the {what} by {error[channel]:.3g}"
    return exam.worst_element(i, "sums", name, ratio, (wanted, result, bound), message)


CHECKS = (
    *(
        Check(r.clause, CALLS, follows(name, r), of_relation(name), declines=DECLINES.get(name, never))
        for name, r in RELATIONS.items()
    ),
    Check("training.output_moments", (TRAINING, TRAINING_GRADIENTS), mean_of_output, everywhere),
    Check("gradient.orthogonality", (TRAINING_GRADIENTS,), sum_of_dx, everywhere),
)
