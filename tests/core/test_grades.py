"""The grades, on errors that follow their laws and on the algorithms they are meant to tell apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bnspec.conformance.soundness import data, reductions
from bnspec.conformance.soundness.algorithms import ALGORITHMS
from bnspec.conformance.soundness.trial import Trial
from bnspec.grades import STEP, grade_by_count, grade_by_kappa
from bnspec.precision import PRECISIONS

U = PRECISIONS["float32"].unit_roundoff
KAPPAS = [float(k) for k in 10.0 ** np.arange(0.0, 6.1, 0.5)]
RANDOM = 3  # channels of each kind, the random ones first


def errors_of_y(name: str) -> list[float]:
    """The largest error of zhat on random data at each kappa, in units of u."""
    algorithm = next(a for a in ALGORITHMS if a.name == name)
    errors = []
    for kappa in KAPPAS:
        trial = Trial.of(data.draw("float32", kappa, 64, 3, each=RANDOM), 1e-5, 0.9)
        got, expected = trial.outcome(algorithm)["training y"]
        gamma = trial.layer.arrays["gamma"].astype(np.float64)[:, None]
        off = np.abs((got - expected.rounded) / gamma)[:RANDOM] / U
        errors.append(float(np.where(np.isnan(off), np.inf, off).max()))
    return errors


@pytest.mark.parametrize(
    "name",
    [
        "two-pass, one by one",
        "Welford",
        "Chan, four parts",
        "one-pass shifted by a sample",
        "pairwise",
        "folded",
        "Kahan",
    ],
)
def test_stable_algorithms_are_stable(name: str) -> None:
    """Their errors grow with kappa itself at most."""
    assert grade_by_kappa(KAPPAS, errors_of_y(name), U).grade == "stable"


@pytest.mark.parametrize("name", ["one-pass", "one-pass, not clipped", "one-pass, differentiated"])
def test_the_one_pass_variance_is_recognised(name: str) -> None:
    """Its errors grow with the square of kappa, until nothing is left."""
    found = grade_by_kappa(KAPPAS, errors_of_y(name), U)
    assert found.grade == "one-pass"
    assert found.half_digits <= 1e3


@pytest.mark.parametrize(("power", "grade"), [(0.0, "stable"), (1.0, "stable"), (2.0, "one-pass")])
def test_the_exponent_is_that_of_the_law(power: float, grade: str) -> None:
    """error = 3 + kappa^p / 2, within two steps of the fit's grid."""
    found = grade_by_kappa(KAPPAS, [3.0 + 0.5 * k**power for k in KAPPAS], U)
    assert found.grade == grade
    assert abs(found.exponent - power) <= 2.0 * STEP


def test_half_of_the_digits_are_gone_where_the_error_reaches_the_root_of_u() -> None:
    """In units of u: 1 / sqrt(u) = 4096 for float32."""
    assert grade_by_kappa([1.0, 10.0, 100.0, 1e4], [1.0, 10.0, 100.0, 1e4], U).half_digits == 1e4
    assert grade_by_kappa([1.0, 10.0, 100.0], [1.0, 1.0, 1.0], U).half_digits == math.inf


def test_too_few_points_determine_nothing() -> None:
    """Three are needed before the errors are saturated, or a span of 16 in the counts."""
    assert grade_by_kappa([1.0, 10.0], [1.0, 1.0], U).grade == "undetermined"
    assert grade_by_kappa([1.0, 10.0, 1e2], [1.0, math.inf, math.nan], U).grade == "undetermined"
    assert grade_by_count([4, 5, 6], [1.0, 1.0, 1.0]) == "undetermined"
    assert grade_by_count([4, 16, 64], [1.0, math.nan, 1.0]) == "undetermined"


def rounding_one_way(total: reductions.Sum, counts: list[int]) -> list[float]:
    """The largest relative error of a sum of positive values chosen to round upwards, in units of u.

    Around 67 sums of 2^k values stay just above a power of two, where a rounding weighs most.
    """
    rng, errors = np.random.RandomState(0), []
    for count in counts:
        worst = 0.0
        for kind in data.ADVERSARIES:
            x = np.abs(kind(rng, 66.0, 8, count)).astype(np.float32)
            exact = x.astype(np.float64).sum(axis=1)
            worst = max(worst, float((np.abs(total(x) - exact) / exact).max()) / U)
        errors.append(worst)
    return errors


@pytest.mark.parametrize(
    ("total", "counts", "grades"),
    [
        (reductions.sequential, [16, 64, 256, 1024], {"linear"}),
        (reductions.backwards, [16, 64, 256, 1024], {"linear"}),
        (reductions.threads, [16, 64, 256, 1024], {"linear"}),
        (reductions.tree, [4, 8, 16, 32, 64], {"logarithmic"}),
        (reductions.pairwise, [16, 64, 256, 1024], {"logarithmic", "constant"}),
        (reductions.kahan, [16, 64, 256, 1024], {"constant"}),
        (reductions.neumaier, [16, 64, 256, 1024], {"constant"}),
        (reductions.wide, [16, 64, 256, 1024], {"constant"}),
    ],
    ids=lambda v: getattr(v, "__name__", ""),
)
def test_sums_are_graded_by_their_growth_with_the_count(
    total: reductions.Sum, counts: list[int], grades: set[str]
) -> None:
    """On data that round one way; pairwise sums of other orders than the data were made for may look constant."""
    assert grade_by_count(counts, rounding_one_way(total, counts)) in grades


@pytest.mark.parametrize(
    ("law", "grade"),
    [(lambda m: 1.5, "constant"), (lambda m: 0.01, "constant"), (math.log2, "logarithmic"),
     (lambda m: 4.0 + math.log2(m), "logarithmic"), (lambda m: 0.4 * m, "linear"), (lambda m: 3.0 + m / 8.0, "linear")],
)  # fmt: skip
def test_the_laws_of_the_count_are_told_apart(law: object, grade: str) -> None:
    """Over counts from 4 to 4096."""
    assert callable(law)
    counts = [4**k for k in range(1, 7)]
    assert grade_by_count(counts, [law(m) for m in counts]) == grade
